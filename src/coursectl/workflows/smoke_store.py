"""What earlier runs of the suite left: results by what they depended on, times, and the last report.

```
smoke/cases/<digest>/result.json, executed.ipynb    one notebook with all that it depends on
smoke/stacks/<build digest>.json                    what an environment consists of
smoke/suites/<course>/<semester>-<environment>-<variant>-<platform>.json    the last whole run
smoke/suites/<course>/seconds.json                  how long each notebook took
smoke/runs/                                         the places of runs that go on
```
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from coursectl import files, paths
from coursectl.model.suite import SUITE_SCHEMA, CaseResult, SuiteReport

KEPT_CASES = 500
"""How many results are kept; the ones not asked for the longest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCase:
    """A result with the digest of the build that it was got on."""

    build: str
    result: CaseResult
    schema: int = SUITE_SCHEMA


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of all that the suite keeps."""

    folder: Path

    @property
    def stacks(self) -> Path:
        """Where stacks are kept."""
        return self.folder / "stacks"

    @property
    def runs(self) -> Path:
        """Where runs have their places."""
        return self.folder / "runs"

    def case_folder(self, digest: str) -> Path:
        """The folder of one result; ``executed.ipynb`` is written there by the kernel."""
        return self.folder / "cases" / digest[:32]

    def case(self, digest: str) -> KeptCase | None:
        """The result that was kept for `digest`; ``None`` where there is none, or half of one."""
        folder = self.case_folder(digest)
        try:
            kept = msgspec.json.decode((folder / "result.json").read_bytes(), type=KeptCase)
        except (OSError, msgspec.MsgspecError):
            return None
        if kept.schema != SUITE_SCHEMA:
            return None
        executed = kept.result.executed
        if executed is not None and not (folder / executed).is_file():
            return None
        with contextlib.suppress(OSError):
            os.utime(folder / "result.json")  # it was asked for
        whole = None if executed is None else str(folder / executed)
        return replace(kept, result=replace(kept.result, executed=whole))

    def keep_case(self, digest: str, build: str, result: CaseResult) -> None:
        """Keep a result; its executed notebook lies in `case_folder` already.

        Raises:
            CourseError: nothing can be written there.
        """
        name = None if result.executed is None else Path(result.executed).name
        kept = KeptCase(build=build, result=replace(result, executed=name))
        files.write_atomic(self.case_folder(digest) / "result.json", msgspec.json.encode(kept))

    def forget_case(self, digest: str) -> None:
        """Let no earlier result count for `digest`."""
        (self.case_folder(digest) / "result.json").unlink(missing_ok=True)

    def prune(self) -> None:
        """Delete the results that were not asked for the longest."""
        folder = self.folder / "cases"
        found: list[tuple[float, Path]] = []
        for case in folder.iterdir() if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                file = case / "result.json"
                found.append(((file if file.exists() else case).stat().st_mtime, case))
        for _, case in sorted(found, reverse=True)[KEPT_CASES:]:
            files.remove_tree(case)

    def seconds(self, course: str) -> dict[str, float]:
        """How long each notebook of a course took when it last ran."""
        try:
            file = self.folder / "suites" / course / "seconds.json"
            return msgspec.json.decode(file.read_bytes(), type=dict[str, float])
        except (OSError, msgspec.MsgspecError):
            return {}

    def keep_report(self, report: SuiteReport, *, whole: bool) -> None:
        """Keep a run's times and, where the `whole` suite was asked for, the report.

        Raises:
            CourseError: nothing can be written there.
        """
        ran = {c.notebook: c.seconds for c in report.cases if c.seconds and not c.cached}
        known = self.seconds(report.course)
        folder = self.folder / "suites" / report.course
        if ran:
            files.write_atomic(folder / "seconds.json", msgspec.json.encode(known | ran))
        if whole:
            files.write_atomic(self.report_file(report), msgspec.json.encode(report))

    def report_file(self, report: SuiteReport) -> Path:
        """Where the last report on the same environment lies."""
        name = f"{report.semester}-{report.environment}-{report.variant}-{report.platform}.json"
        return self.folder / "suites" / report.course / name


def store() -> Store:
    """What is kept on this machine."""
    return Store(paths.home() / "smoke")


def read_report(file: Path) -> SuiteReport | None:
    """A report that was kept; ``None`` where there is none that this version understands."""
    try:
        report = msgspec.json.decode(file.read_bytes(), type=SuiteReport)
    except (OSError, msgspec.MsgspecError):
        return None
    return report if report.schema == SUITE_SCHEMA else None
