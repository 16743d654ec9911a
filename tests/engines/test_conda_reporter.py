"""What the child tells while rattler installs."""

from __future__ import annotations

import pytest

from coursectl.engines import conda_reporter
from coursectl.engines.conda_reporter import Reporter


def test_bytes_are_told_once_each_though_a_download_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conda_reporter, "_TELL_EVERY", -1.0)
    told: list[tuple[str, dict[str, object]]] = []
    reporter = Reporter(lambda event, **content: told.append((event, content)))  # type: ignore[abstract]
    download = reporter.on_download_start(reporter.on_populate_cache_start(0, "numpy"))
    for progress in (400, 900, 0, 300, 1000):  # it broke at 900
        reporter.on_download_progress(download, progress, 1000)
    reporter.on_download_completed(download)
    assert sum(int(str(content["amount"])) for _, content in told) == 1000
    assert {content["name"] for _, content in told} == {"numpy"}


def test_a_reporter_whose_line_is_gone_never_raises() -> None:
    def gone(event: str, **content: object) -> None:
        raise BrokenPipeError(event)

    reporter = Reporter(gone)  # type: ignore[abstract]
    download = reporter.on_download_start(reporter.on_populate_cache_start(0, "numpy"))
    reporter.on_download_progress(download, 10, None)
    reporter.on_download_completed(download)
    reporter.on_link_complete(reporter.on_link_start(0, "numpy"))


def test_only_a_running_download_without_bytes_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(lambda event, **content: None)  # type: ignore[abstract]
    monkeypatch.setattr(conda_reporter, "STALL", -1.0)
    assert reporter.stalled() is None
    download = reporter.on_download_start(reporter.on_populate_cache_start(0, "numpy"))
    assert reporter.stalled() == "numpy"
    reporter.on_download_completed(download)
    assert reporter.stalled() is None
