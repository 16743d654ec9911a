"""Which semesters of a course count, and what each pins."""

from __future__ import annotations

import difflib

from coursectl.errors import Hint, LockError
from coursectl.lockfiles import release as release_file
from coursectl.model.course import Course
from coursectl.model.release import Release
from coursectl.model.semester import Semester


def frozen(course: Course) -> tuple[Semester, ...]:
    """The semesters with a release.yaml, oldest first; a folder without one is no semester yet."""
    found = []
    for file in (course.root / "lockfiles").glob(f"*/{release_file.FILE_NAME}"):
        try:
            found.append(Semester.parse(file.parent.name))
        except ValueError:
            continue  # a folder of somebody else's
    return tuple(sorted(found))


def load(course: Course, semester: Semester) -> Release:
    """The release of `semester`.

    Raises:
        LockError: it is not frozen; the hints name the semesters that are.
    """
    file = course.lock_folder(semester) / release_file.FILE_NAME
    if file.is_file():
        return release_file.read_release(file)
    known = [str(s) for s in frozen(course)]
    near = difflib.get_close_matches(str(semester), known, n=1) or known[-1:]
    hints = [Hint(text="staff:", command=f"coursectl freeze {semester}")]
    if near:
        hints.insert(0, Hint(text=f"frozen are {', '.join(known)}; try", command=f"coursectl up {near[0]}"))
    raise LockError(
        f"{semester} of {course.name} is not frozen",
        cause=f"there is no lockfiles/{semester}/release.yaml",
        hints=tuple(hints),
        code="not-frozen",
    )
