"""A requirements file to a hashed, universal one (``uv pip compile --universal``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coursectl.engines import pypi_lock, uv_compile, uv_program, uv_wheels
from coursectl.engines.base import Network, PypiRequest
from coursectl.engines.uv_errors import Doing
from coursectl.engines.uv_wheels import Locked
from coursectl.errors import CourseFileError, SolveError
from coursectl.model.lock import PypiLock
from coursectl.model.platform import Platform
from coursectl.model.progress import Progress, Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    text: str
    packages: tuple[Locked, ...]


def solve(request: PypiRequest, network: Network, progress: Progress) -> PypiLock:
    """The pinned requirements for every platform of the environment.

    A package that has wheels, but none for a platform of the course, is first sought in a version that has
    one everywhere: a student cannot be asked to compile. Where there is none, a warning says so.

    Raises:
        SolveError: no set of packages fits.
        CourseFileError: the spec file cannot be read.
        NetworkError: the index cannot be reached.
    """
    environment = request.environment
    python = environment.python
    if python is None:
        raise CourseFileError(
            f"the environment {environment.name} does not say for which Python",
            hints=(f"set python under environments.{environment.name} in course.yaml",),
        )
    solved = _solve(request, python, network, progress, wheels_only=())
    lacking = _lacking(solved.packages, environment.platforms, python)
    if lacking:
        solved = _with_wheels(request, python, network, progress, solved, lacking)
    pins = pypi_lock.parse(solved.text, environment.spec)
    return PypiLock(
        python=python,
        pins=pins,
        text=solved.text,
        sizes=_sizes(solved.packages, environment.platforms, python, network),
    )


def _solve(
    request: PypiRequest, python: str, network: Network, progress: Progress, *, wheels_only: Sequence[str]
) -> _Solved:
    environment = request.environment
    try:
        source = request.source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CourseFileError(f"{environment.spec} cannot be read", cause=str(exc)) from exc
    doing = Doing(
        failed=f"{environment.spec} cannot be solved", solving=True, source=environment.spec, text=source
    )
    settings: dict[str, tuple[str, ...]] = {"environments": uv_compile.supported(python)}
    if wheels_only:
        settings["required-environments"] = tuple(_required(p, python) for p in environment.platforms)
    common: list[str | Path] = [
        *("--universal", "--generate-hashes", "--no-annotate", "--python-version", python),
        *uv_compile.cutoff(request.as_of),
        *uv_compile.prereleases(source),
    ]
    with uv_program.workplace(**settings) as folder:
        output = folder / "lock.txt"
        if request.keep is not None:
            output.write_text(request.keep, encoding="utf-8")  # uv stays at what its output says
        loose = [word for name in request.update for word in ("--upgrade-package", name)]
        only = [word for name in wheels_only for word in ("--only-binary", name)]
        compiled = uv_compile.compile_(
            [*common, *loose, *only, request.source.absolute()],
            output=output,
            network=network,
            doing=doing,
            progress=progress,
        )
        options = uv_compile.source_options(source)
        text = pypi_lock.render(compiled, python=python, spec=environment.spec, options=options)
        pypi_lock.parse(text, environment.spec)  # what has no hash is told before the sizes are sought
        lock = folder / "whole.txt"
        lock.write_text(text, encoding="utf-8")
        pylock = uv_compile.compile_(
            [*common, "--no-deps", "--format", "pylock.toml", lock],
            output=folder / "pylock.toml",
            network=network,
            doing=doing,
        )
    return _Solved(text=text, packages=uv_wheels.read_pylock(pylock))


def _required(platform: Platform, python: str) -> str:
    facts = uv_wheels.marker_environment(platform, python)
    return f"sys_platform == '{facts['sys_platform']}' and platform_machine == '{facts['platform_machine']}'"


def _lacking(
    packages: Sequence[Locked], platforms: Sequence[Platform], python: str
) -> dict[str, tuple[Platform, ...]]:
    """Packages with wheels of which none fits a platform that installs them, with those platforms.

    A package without any wheel is built everywhere: an old, pure one as a rule, and the course's choice.
    """
    found = {}
    for package in packages:
        if not any(file.is_wheel for file in package.files):
            continue
        without = tuple(
            platform
            for platform in platforms
            if uv_wheels.applies(package.marker, platform, python)
            and uv_wheels.choose(package.files, platform, python) is None
        )
        if without:
            found[package.name] = without
    return found


def _with_wheels(
    request: PypiRequest,
    python: str,
    network: Network,
    progress: Progress,
    first: _Solved,
    lacking: dict[str, tuple[Platform, ...]],
) -> _Solved:
    """`first`, moved to versions with wheels where that costs little; the rest is told to `progress`."""

    def attempt(names: Sequence[str]) -> _Solved | None:
        try:
            again = _solve(request, python, network, Silent(), wheels_only=names)
        except SolveError:
            return None
        return again if _is_close(first.packages, again.packages, names) else None

    best = attempt(sorted(lacking))
    if best is None:
        best = first
        taken: list[str] = []
        for name in sorted(lacking) if len(lacking) > 1 else ():
            if (again := attempt([*taken, name])) is not None:
                best, taken = again, [*taken, name]
    for name, platforms in _lacking(best.packages, request.environment.platforms, python).items():
        where = ", ".join(platforms)
        progress.warn(
            f"{name} has no wheel for {where}: it would have to be compiled there",
            code="no-wheel",
            hint=f"pin a version of {name} that has one, or leave {where} out of the platforms",
        )
    return best


def _is_close(before: Sequence[Locked], after: Sequence[Locked], moved: Sequence[str]) -> bool:
    """Whether no package but the `moved` ones falls to an older major version anywhere, or is lost.

    (As of 2023-08-20 psutil has no wheel for linux-aarch64. Insisting on one brings ipykernel 6.9 and
    jupyter-client 7 there: compiling psutil is the lesser evil.)
    """

    def majors(packages: Sequence[Locked]) -> dict[str, int]:
        lowest: dict[str, int] = {}
        for package in packages:
            number = Version(package.version).major if package.version else 0
            lowest[package.name] = min(number, lowest.get(package.name, number))
        return lowest

    from packaging.version import Version

    old, new = majors(before), majors(after)
    return all(name in new and new[name] >= major for name, major in old.items() if name not in moved)


def _sizes(
    packages: tuple[Locked, ...], platforms: Sequence[Platform], python: str, network: Network
) -> dict[Platform, int | None]:
    def files(among: Sequence[Locked], platform: Platform) -> list[uv_wheels.Artifact | None]:
        return [
            uv_compile.chosen(p, platform, python)
            for p in among
            if uv_wheels.applies(p.marker, platform, python)
        ]

    wanted = {f for platform in platforms for f in files(packages, platform) if f is not None}
    packages = uv_compile.with_sizes(packages, tuple(wanted), network)
    sizes: dict[Platform, int | None] = {}
    for platform in platforms:
        known = [f.size if f is not None else None for f in files(packages, platform)]
        sizes[platform] = None if None in known else sum(size for size in known if size is not None)
    return sizes
