"""Every wrong course file and spec file in ``cases/`` is refused in exactly the words of its expected.txt.

To add a case: make a folder, run this file, read the words it prints, and put them in expected.txt.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from coursectl.config import load_course
from coursectl.errors import CourseFileError, ExitCode
from coursectl.model.course import EngineKind
from coursectl.specs import read_apt, read_conda_spec, read_requirements

CASES = sorted(p for p in (Path(__file__).parent / "cases").iterdir() if p.is_dir())


def read_everything(root: Path) -> None:
    course = load_course(root / "course.yaml")
    for environment in course.environments:
        if environment.engine is EngineKind.CONDA:
            read_conda_spec(environment.spec, root)
        else:
            read_requirements(environment.spec, root)
        read_apt(environment.spec, root)


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_a_wrong_file_is_refused_with_place_cause_and_remedy(case: Path) -> None:
    with pytest.raises(CourseFileError) as caught:
        read_everything(case)
    error = caught.value
    rows = [f"error: {error.message}"]
    rows += [f"cause: {error.cause}"] if error.cause else []
    rows += [f"hint:  {hint}" for hint in error.hints]
    said = "\n".join(rows).replace(str(case), "<course>") + "\n"
    assert said == (case / "expected.txt").read_text(encoding="utf-8")
    assert error.exit_code is ExitCode.USAGE
