"""course.yaml: found upward from the working directory, read strictly, and made into a `Course`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from coursectl import documents
from coursectl.config_model import CourseFile, EnvironmentFile, SemesterFile, VariantFile
from coursectl.documents import Document, KeyPath, did_you_mean, dotted
from coursectl.errors import CourseFileError, Hint
from coursectl.model.course import (
    BASE_VARIANT,
    Course,
    EngineKind,
    Environment,
    SemesterPlan,
    Variant,
    name_problem,
)
from coursectl.model.platform import Platform, VirtualPackage
from coursectl.model.semester import Season, Semester
from coursectl.within import address_problem, channel_problem, link_problem, path_problem, shown

COURSE_FILE = "course.yaml"
KINDS = {
    ".yml": EngineKind.CONDA,
    ".yaml": EngineKind.CONDA,
    ".txt": EngineKind.PYPI,
    ".in": EngineKind.PYPI,
}
"""Suffix of a spec file: the engine that reads it."""
PYPI_MIRROR = "pypi"
"""The key of ``mirrors`` that stands for the Python package index, whatever its address."""

_NO_CHANNEL = ("nodefaults", "defaults")  # words of conda's own settings, not channels
_VIRTUAL = (
    ("__cuda", "cuda"),
    ("__glibc", "glibc"),
    ("__osx", "osx"),
    ("__archspec", "archspec"),
    ("__linux", "linux"),
    ("__win", "win"),
)


def find_course_file(start: Path) -> Path:
    """The nearest course.yaml in `start` or a folder above it.

    Raises:
        CourseFileError: there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / COURSE_FILE).is_file():
            return folder / COURSE_FILE
    hints: tuple[Hint | str, ...] = (
        Hint(text="go to the course's folder, or name it:", command="coursectl -C DIR ..."),
        Hint(text="to begin a course here:", command="coursectl init"),
    )
    if (start / "course.yml").is_file():
        hints = ("rename course.yml to course.yaml", *hints)
    raise CourseFileError(
        f"there is no {COURSE_FILE} here", cause=f"looked in {start} and the folders above it", hints=hints
    )


def load_course(path: Path) -> Course:
    """Read and validate a course.yaml.

    Args:
        path: the file itself (see `find_course_file`).

    Raises:
        CourseFileError: it, or a spec file whose channels it needs, is wrong; the message starts with
            ``course.yaml:12:``.
    """
    document = documents.load(path.absolute(), label=path.name)
    if document.data is None:
        raise CourseFileError(
            f"{path.name}: the file is empty",
            hints=(Hint(text="delete it and begin again:", command="coursectl init"),),
        )
    try:
        file = msgspec.convert(document.data, CourseFile, strict=False)
    except msgspec.ValidationError as exc:
        from coursectl.config_explain import explain

        raise explain(document, CourseFile, str(exc)) from exc
    return _Reader(document, file).course()


class _Reader:
    """Checks what the types cannot say: names, paths, addresses, and what refers to what."""

    def __init__(self, document: Document, file: CourseFile) -> None:
        self.document = document
        self.file = file
        self.root = document.path.parent
        self.fail = document.error

    def course(self) -> Course:
        file = self.file
        self.name(("name",), file.name)
        title = file.title if file.title is not None else file.name
        if not title.isprintable() or not 0 < len(title) <= 200:
            raise self.fail(("title",), "the title is not one line of 1 to 200 printable characters")
        platforms = self.platforms(("platforms",), file.platforms, tuple(Platform))
        for name in file.environments:
            self.name(("environments", name), name)
        environments = tuple(self.environment(n, e, platforms) for n, e in file.environments.items())
        self.fallbacks()
        default = file.environment if file.environment is not None else environments[0].name
        self.known(("environment",), default, file.environments, "environment")
        semesters = tuple(self.semester(n, s or SemesterFile()) for n, s in file.semesters.items())
        self.known(("current",), file.current, file.semesters, "semester")
        self.sections()
        return Course(
            name=file.name,
            title=title,
            root=self.root,
            file=self.document.path,
            current=Semester.parse(file.current),
            semesters=semesters,
            platforms=platforms,
            environments=environments,
            default_environment=default,
            mirrors=self.mirrors(),
            notebooks=_plain(file.notebooks),
            data=_plain(file.data),
            materials=_plain(file.materials),
            image=_plain(file.image),
            cloud=_plain(file.cloud),
            lines=self.document.lines,
        )

    def name(self, where: KeyPath, name: str) -> None:
        problem = name_problem(name)
        if problem is not None:
            raise self.fail(where, f"{name!r} cannot be a name", cause=problem)

    def known(self, where: KeyPath, name: str, allowed: Iterable[str], kind: str) -> None:
        names = list(allowed)
        if name not in names:
            raise self.fail(
                where,
                f"{dotted(where)} names the {kind} {name!r}, which is not in this file",
                cause=f"allowed: {', '.join(names)}",
                hints=did_you_mean(name, names),
            )

    def platforms(
        self, where: KeyPath, given: list[Platform] | None, outer: tuple[Platform, ...]
    ) -> tuple[Platform, ...]:
        if given is None:
            return outer
        if not given:
            raise self.fail(where, f"{dotted(where)} is empty", cause=f"allowed: {', '.join(outer)}")
        for number, platform in enumerate(given):
            if platform in given[:number]:
                raise self.fail((*where, number), f"{dotted(where)} names {platform} twice")
            if platform not in outer:
                raise self.fail(
                    (*where, number),
                    f"{dotted(where)} names {platform}, which is not among the platforms around it",
                    cause=f"allowed: {', '.join(outer)}",
                )
        return tuple(given)

    def semester(self, name: str, file: SemesterFile) -> SemesterPlan:
        where = ("semesters", name)
        try:
            semester = Semester.parse(name)
        except ValueError as exc:
            raise self.fail(
                where,
                f"{name!r} is not a semester",
                cause=f"write a season and a year, such as fall2025; seasons: {', '.join(Season)}",
            ) from exc
        if file.environments is not None and not file.environments:
            raise self.fail((*where, "environments"), f"{name} pins no environment")
        for number, environment in enumerate(file.environments or ()):
            self.known((*where, "environments", number), environment, self.file.environments, "environment")
        chosen = tuple(dict.fromkeys(file.environments or self.file.environments))
        return SemesterPlan(semester=semester, environments=chosen, starts=file.starts, as_of=file.as_of)

    def environment(self, name: str, file: EnvironmentFile, outer: tuple[Platform, ...]) -> Environment:
        where: KeyPath = ("environments", name)
        spec = self.path((*where, "spec"), file.spec)
        engine = KINDS.get(Path(spec).suffix.lower())
        if engine is None:
            raise self.fail(
                (*where, "spec"),
                f"{dotted((*where, 'spec'))} is {file.spec!r}, whose kind is unknown",
                cause="an environment file ends in .yml or .yaml, a requirements file in .txt or .in",
            )
        if not (self.root / spec).is_file():
            kinds = (p for g in ("*", "*/*") for p in self.root.glob(g) if p.suffix in KINDS)
            raise self.fail(
                (*where, "spec"),
                f"there is no file {spec}",
                cause=f"looked in {self.root}",
                hints=did_you_mean(spec, (p.relative_to(self.root).as_posix() for p in kinds)),
            )
        platforms = self.platforms((*where, "platforms"), file.platforms, outer)
        if engine is EngineKind.PYPI:
            self.pypi_only(where, file)
        elif file.python is not None:
            raise self.fail(
                (*where, "python"),
                f"{dotted((*where, 'python'))} is for requirements files only",
                cause="in a conda environment python is a package",
                hints=(f"write `- python={file.python}` in {spec}",),
            )
        variants = [Variant(name=BASE_VARIANT, platforms=platforms)]
        for variant, content in (file.variants or {}).items():
            variants.append(self.variant((*where, "variants", variant), content, platforms))
        return Environment(
            name=name,
            spec=spec,
            engine=engine,
            platforms=platforms,
            variants=tuple(variants),
            channels=self.channels(where, file, spec) if engine is EngineKind.CONDA else (),
            python=file.python,
            fallback=file.fallback,
        )

    def pypi_only(self, where: KeyPath, file: EnvironmentFile) -> None:
        for key, value in (("channels", file.channels), ("variants", file.variants)):
            if value is not None:
                raise self.fail(
                    (*where, key),
                    f"{dotted((*where, key))} is for conda environments only",
                    cause=f"{file.spec} is a requirements file",
                )
        if file.python is None:
            raise self.fail(
                where,
                f"the key {dotted((*where, 'python'))} is missing",
                cause="a requirements file does not say which Python it is for",
                hints=('write `python: "3.12"`',),
            )
        if not re.fullmatch(r"3\.\d{1,2}", file.python):
            raise self.fail(
                (*where, "python"),
                f"{dotted((*where, 'python'))} is {file.python!r}",
                cause="it has to be a minor version of Python 3, such as 3.12",
            )

    def channels(self, where: KeyPath, file: EnvironmentFile, spec: str) -> tuple[str, ...]:
        document, base = self.document, (*where, "channels")
        given = file.channels
        if given is None:
            document, base = documents.load(self.root / spec, label=spec), ("channels",)
            found = document.data.get("channels") if isinstance(document.data, dict) else None
            listed = found if isinstance(found, list) else []
            given = [c for c in listed if isinstance(c, str)]
            if len(given) != len(listed) or (found is not None and not isinstance(found, list)):
                raise document.error(base, "channels is not a list of names")
        for number, channel in enumerate(given):
            problem = channel_problem(channel)
            if problem is not None:
                raise document.error((*base, number), f"{shown(channel)!r} is not a channel", cause=problem)
        channels = tuple(dict.fromkeys(c for c in given if c not in _NO_CHANNEL))
        if not channels:
            raise document.error(
                base,
                f"the environment {where[1]} has no channel",
                cause="`defaults` means whatever a person's conda is set to, so it cannot be locked"
                if given
                else None,
                hints=("write `channels: [conda-forge]`",),
            )
        return channels

    def variant(self, where: KeyPath, file: VariantFile | None, outer: tuple[Platform, ...]) -> Variant:
        name = str(where[-1])
        self.name(where, name)
        if name == BASE_VARIANT:
            raise self.fail(where, "the variant cpu is always there", cause="it is the spec file itself")
        file = file or VariantFile()
        virtual: list[VirtualPackage] = []
        for key, attribute in _VIRTUAL:
            text: str | None = getattr(file, attribute)
            if text is None:
                continue
            if key == "__archspec":
                self.name((*where, key), text)
                virtual.append(VirtualPackage(name=key, version="1", build=text))
                continue
            if not re.fullmatch(r"\d+(\.\d+)*", text):
                raise self.fail((*where, key), f"{dotted((*where, key))} is {text!r}, not a version")
            virtual.append(VirtualPackage(name=key, version=text))
        return Variant(
            name=name,
            platforms=self.platforms((*where, "platforms"), file.platforms, outer),
            virtual_packages=tuple(virtual),
            specs=tuple(self.specs((*where, "specs"), file.specs or [])),
        )

    def specs(self, where: KeyPath, specs: list[str]) -> list[str]:
        from coursectl.specs_conda import spec_problem

        for number, spec in enumerate(specs):
            problem = spec_problem(spec)
            if problem is not None:
                raise self.fail((*where, number), f"{spec!r} is not a conda package", cause=problem)
        return specs

    def path(self, where: KeyPath, text: str) -> str:
        problem = path_problem(text) or link_problem(self.root, text)
        if problem is not None:
            raise self.fail(where, f"{dotted(where)} is {text!r}", cause=problem)
        return "/".join(p for p in text.split("/") if p not in ("", "."))

    def fallbacks(self) -> None:
        for name, file in self.file.environments.items():
            where, seen, at = ("environments", name, "fallback"), [name], file.fallback
            while at is not None:
                if len(seen) == 1:
                    self.known(where, at, self.file.environments, "environment")
                if at in seen:
                    raise self.fail(
                        where, f"the fallback of {name} leads back to it", cause=" -> ".join([*seen, at])
                    )
                seen.append(at)
                following = self.file.environments.get(at)
                at = None if following is None else following.fallback

    def mirrors(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for source, target in (self.file.mirrors or {}).items():
            where: KeyPath = ("mirrors", source)
            targets = [target] if isinstance(target, str) else target
            for address in targets if source == PYPI_MIRROR else [source, *targets]:
                self.address(where, address)
            if not targets:
                raise self.fail(where, f"the mirrors of {source} are empty")
            found[source.rstrip("/")] = tuple(address.rstrip("/") for address in targets)
        return found

    def address(self, where: KeyPath, text: str) -> None:
        problem = address_problem(text)
        if problem is not None:
            name = where[0] == "mirrors" and channel_problem(text) is None
            raise self.fail(
                where,
                f"{shown(text)!r} cannot be used in {shown(dotted(where))}",
                cause=problem,
                hints=(f"a channel's address is https://conda.anaconda.org/{text}",) if name else (),
            )

    def sections(self) -> None:
        """What later parts of the program read: checked now, so that nothing wrong waits for its day."""
        file = self.file
        if file.notebooks is not None:
            if file.notebooks.environment is not None:
                self.known(
                    ("notebooks", "environment"), file.notebooks.environment, file.environments, "environment"
                )
            for key in ("suite", "network", "gpu", "skip"):
                for number, pattern in enumerate(getattr(file.notebooks, key) or ()):
                    self.path(("notebooks", key, pattern if key == "skip" else number), pattern)
        if file.data is not None:
            self.path(("data", "folder"), file.data.folder or "data")
            for number, address in enumerate(file.data.mirrors or ()):
                self.address(("data", "mirrors", number), address)
            for group, content in (file.data.groups or {}).items():
                for name in (group, *content.datasets):
                    self.name(("data", "groups", group), name)
        if file.materials is not None:
            self.address(("materials", "repository"), file.materials.repository)
            for key in ("folder", "into"):
                self.path(("materials", key), getattr(file.materials, key) or ".")
        if file.image is not None and file.image.apt is not None:
            self.path(("image", "apt"), file.image.apt)


def _plain(section: msgspec.Struct | None) -> dict[str, object]:
    """A section as the mapping that the model holds: only what was written, days as days."""
    return {} if section is None else dict(msgspec.to_builtins(section, builtin_types=(date,)))
