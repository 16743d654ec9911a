"""What is in force, and whence: command line > ``COURSECTL_*`` variable > course.yaml > default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from coursectl import paths
from coursectl.documents import did_you_mean
from coursectl.errors import UsageError
from coursectl.model.course import BASE_VARIANT, Course, name_problem
from coursectl.model.semester import Semester
from coursectl.within import address_problem, shown

AUTO = "auto"
"""The variant that is chosen by a probe of the machine."""
PREFIX = "COURSECTL_"
DEFAULT_PORT = 8888
"""JupyterLab's own first port; the next free one is taken."""

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


class Source(StrEnum):
    """Where a value came from, strongest first."""

    FLAG = "command line"
    VARIABLE = "environment variable"
    FILE = "course file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value in force. `origin` is where a person looks: ``course.yaml:4``, ``COURSECTL_SEMESTER``."""

    name: str
    value: object
    source: Source
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; `rows` is in reading order, the properties are typed.

    `semester` and `environment` are ``None`` where no course was found.
    """

    rows: tuple[Setting, ...]

    def row(self, name: str) -> Setting:
        """The setting called `name`; ``KeyError`` if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def course(self) -> Path | None:
        """The folder of the course file."""
        value = self.row("course").value
        return value if isinstance(value, Path) else None

    @property
    def semester(self) -> Semester | None:
        """The semester that a command without one means."""
        value = self.row("semester").value
        return value if isinstance(value, Semester) else None

    @property
    def environment(self) -> str | None:
        """The environment that a command without one means."""
        value = self.row("environment").value
        return value if isinstance(value, str) else None

    @property
    def variant(self) -> str:
        """A variant's name, or `AUTO`."""
        return str(self.row("variant").value)

    @property
    def offline(self) -> bool:
        """Whether only what is cached counts."""
        return self.row("offline").value is True

    @property
    def port(self) -> int:
        """The first port to try."""
        value = self.row("port").value
        assert isinstance(value, int)
        return value

    @property
    def browser(self) -> bool:
        """Whether a browser is opened."""
        return self.row("browser").value is True

    @property
    def mirrors(self) -> dict[str, tuple[str, ...]]:
        """Address (or ``pypi``, the package index): the addresses to ask instead, best first."""
        value = self.row("mirrors").value
        assert isinstance(value, dict)
        return value

    @property
    def home(self) -> Path:
        """The folder of environments, servers and logs (`paths.home`)."""
        return paths.home()

    @property
    def cache(self) -> Path:
        """The folder of downloads (`paths.cache`)."""
        return paths.cache()


def course_folder(flag: Path | None = None) -> Path:
    """Where to look for course.yaml: ``-C``, else ``COURSECTL_COURSE``, else the working directory.

    Raises:
        UsageError: the folder that was named does not exist.
    """
    text = os.environ.get(PREFIX + "COURSE")
    folder = flag if flag is not None else Path(text) if text else Path.cwd()
    folder = folder.expanduser()
    if not folder.is_dir():
        origin = "-C" if flag is not None else PREFIX + "COURSE"
        raise UsageError(f"{origin}: there is no folder {folder}")
    return folder.absolute()


def resolve(course: Course | None, flags: Mapping[str, object]) -> Settings:
    """Every setting, each from the strongest place that has it.

    Args:
        course: the course, ``None`` where there is none.
        flags: what was typed, by setting name (``semester``, ``environment``, ``variant``, ``offline``,
            ``port``, ``browser``, ``mirrors``, ``course``); ``None`` means not typed. `mirrors` is a
            sequence of ``from=to``.

    Raises:
        UsageError: a value does not fit; the message names the flag or variable.
    """
    reader = _Reader(course, flags)
    semester = reader.semester()
    rows = (
        reader.course_row(),
        semester,
        reader.environment(semester.value),
        reader.variant(),
        reader.boolean("offline", False),
        reader.port(),
        reader.boolean("browser", True),
        reader.mirrors(),
        _folder("home", paths.home()),
        _folder("cache", paths.cache()),
    )
    return Settings(rows=rows)


_FLAG_NAMES = {
    "course": "-C",
    "semester": "SEMESTER",
    "environment": "--env",
    "variant": "--variant",
    "offline": "--offline",
    "port": "--port",
    "browser": "--no-browser",
    "mirrors": "--mirror",
}


class _Reader:
    def __init__(self, course: Course | None, flags: Mapping[str, object]) -> None:
        self.course = course
        self.flags = flags

    def typed(self, name: str) -> tuple[object, Source, str] | None:
        """What flag or variable say of `name`; ``None`` where neither does."""
        if self.flags.get(name) is not None:
            return self.flags[name], Source.FLAG, _FLAG_NAMES[name]
        variable = PREFIX + name.upper()
        text = os.environ.get(variable)
        return (text, Source.VARIABLE, variable) if text else None

    def in_file(self, key: str) -> str:
        assert self.course is not None
        line = self.course.lines.get(key)
        return self.course.file.name if line is None else f"{self.course.file.name}:{line}"

    def course_row(self) -> Setting:
        found = self.typed("course")
        folder = None if self.course is None else self.course.root
        if found is not None:
            return Setting(name="course", value=folder, source=found[1], origin=found[2])
        where = "no course.yaml found" if folder is None else "found upward from the working directory"
        return Setting(name="course", value=folder, source=Source.DEFAULT, origin=where)

    def semester(self) -> Setting:
        found = self.typed("semester")
        if found is None:
            if self.course is None:
                return Setting(name="semester", value=None, source=Source.DEFAULT, origin="no course")
            return Setting(
                name="semester", value=self.course.current, source=Source.FILE, origin=self.in_file("current")
            )
        value, source, origin = found
        try:
            semester = value if isinstance(value, Semester) else Semester.parse(str(value))
        except ValueError as exc:
            known = [] if self.course is None else [str(p.semester) for p in self.course.semesters]
            raise UsageError(
                f"{origin}: {value!r} is not a semester",
                cause=f"{self.course.file.name} has: {', '.join(known)}" if self.course else None,
                hints=did_you_mean(str(value), known) or ("write a season and a year, such as fall2026",),
            ) from exc
        return Setting(name="semester", value=semester, source=source, origin=origin)

    def environment(self, semester: object) -> Setting:
        found, course = self.typed("environment"), self.course
        if found is not None:
            value, source, origin = found
            self.check(
                origin, str(value), () if course is None else tuple(e.name for e in course.environments)
            )
            return Setting(name="environment", value=value, source=source, origin=origin)
        if course is None:
            return Setting(name="environment", value=None, source=Source.DEFAULT, origin="no course")
        name = course.default_environment
        plan = course.plan(semester) if isinstance(semester, Semester) else None
        if plan is not None and name not in plan.environments:
            key = f"semesters.{semester}.environments"
            return Setting(
                name="environment", value=plan.environments[0], source=Source.FILE, origin=self.in_file(key)
            )
        key = "environment" if "environment" in course.lines else f"environments.{name}"
        return Setting(name="environment", value=name, source=Source.FILE, origin=self.in_file(key))

    def variant(self) -> Setting:
        found = self.typed("variant")
        if found is None:
            return Setting(name="variant", value=AUTO, source=Source.DEFAULT, origin="built in")
        value, source, origin = found
        if self.course is not None:
            names = {v.name: None for e in self.course.environments for v in e.variants}
            self.check(origin, str(value), (AUTO, *names))
        elif value not in (AUTO, BASE_VARIANT) and name_problem(str(value)):
            raise UsageError(f"{origin}: {value!r} is not a variant", cause=name_problem(str(value)))
        return Setting(name="variant", value=value, source=source, origin=origin)

    def check(self, origin: str, value: str, allowed: tuple[str, ...]) -> None:
        if allowed and value not in allowed:
            raise UsageError(
                f"{origin}: {value!r} is not one of {', '.join(allowed)}", hints=did_you_mean(value, allowed)
            )

    def boolean(self, name: str, default: bool) -> Setting:
        found = self.typed(name)
        if found is None:
            return Setting(name=name, value=default, source=Source.DEFAULT, origin="built in")
        value, source, origin = found
        if not isinstance(value, bool):
            word = str(value).lower()
            if word not in _TRUE + _FALSE:
                raise UsageError(
                    f"{origin}: {value!r} is neither 1 nor 0", cause="allowed: 1, 0, true, false"
                )
            value = word in _TRUE
        return Setting(name=name, value=value, source=source, origin=origin)

    def port(self) -> Setting:
        found = self.typed("port")
        if found is None:
            return Setting(name="port", value=DEFAULT_PORT, source=Source.DEFAULT, origin="built in")
        value, source, origin = found
        text = str(value)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
            raise UsageError(f"{origin}: {value!r} is not a port", cause="a port is a number from 1 to 65535")
        return Setting(name="port", value=int(text), source=source, origin=origin)

    def mirrors(self) -> Setting:
        """The course's mirrors with those of flag or variable on top, address by address."""
        value = {} if self.course is None else dict(self.course.mirrors)
        source, origin = Source.DEFAULT, "built in"
        if value:
            source, origin = Source.FILE, self.in_file("mirrors")
        found = self.typed("mirrors")
        if found is not None:
            given, source, typed_origin = found
            value |= _pairs(given, typed_origin)
            origin = f"{typed_origin}, {origin}" if origin != "built in" else typed_origin
        return Setting(name="mirrors", value=value, source=source, origin=origin)


def _pairs(given: object, origin: str) -> dict[str, tuple[str, ...]]:
    words = (
        given.split() if isinstance(given, str) else list(given) if isinstance(given, (list, tuple)) else []
    )
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        source, sign, target = str(word).partition("=")
        problem = None if source == "pypi" else address_problem(source)
        problem = problem or (
            address_problem(target) if sign else "write FROM=TO, several with blanks between"
        )
        if problem is not None:
            raise UsageError(f"{origin}: {shown(str(word))!r} is not a mirror", cause=problem)
        source = source.rstrip("/")
        found[source] = (*found.get(source, ()), target.rstrip("/"))
    return found


def _folder(name: str, value: Path) -> Setting:
    for variable in (PREFIX + name.upper(), PREFIX + "HOME"):
        if os.environ.get(variable):
            return Setting(name=name, value=value, source=Source.VARIABLE, origin=variable)
    return Setting(name=name, value=value, source=Source.DEFAULT, origin="this system's folder")
