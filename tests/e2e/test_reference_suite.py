"""Three light notebooks of the reference suite, and the one that needs a GPU, as a course lead runs them."""

from __future__ import annotations

import pytest

from e2e import desk
from e2e.desk import Desk

pytestmark = pytest.mark.network

NOTEBOOKS = (
    "04-cosmic-rays-on-the-roof",
    "06-density-estimation",
    "11-variational-inference",
    "16-gpu-ising",
)


def test_the_reference_suite_fails_or_leaves_something(reference: Desk) -> None:
    before = desk.files_below(reference.course)
    data = reference.data("smoke", *NOTEBOOKS)
    assert data["environment"] == "phys398-pypi"
    *run, gpu = data["cases"]
    assert [c["verdict"] for c in run] == ["ok", "ok", "ok"], run
    assert (gpu["verdict"], gpu["cells_run"]) == ("skipped", 0)
    assert 'torch.device("cuda")' in gpu["reason"]
    for case in run:
        assert case["warnings"] == []
        assert len(case["numbers"]) == 4
        for number in case["numbers"]:
            assert abs(number["value"] - number["expected"]) <= number["tolerance"], (
                case["notebook"],
                number,
            )
    assert desk.files_below(reference.course) == before  # data read, a module imported, nothing written
