"""Which environment and variant a machine gets: every row of the decision, without the machine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from coursectl.errors import DiskSpaceError, LockError, UsageError
from coursectl.model.course import Course, EngineKind, Environment, SemesterPlan, Variant
from coursectl.model.launch import Facts, GpuFact
from coursectl.model.platform import Platform, VirtualPackage
from coursectl.model.release import BuildRelease, EnvironmentRelease, Release
from coursectl.model.semester import Semester
from coursectl.workflows import up
from coursectl.workflows.choose import choose

FALL = Semester.parse("fall2026")
NO_GPU = GpuFact(cuda=None, name=None, reason="none found")
ALL = (Platform.LINUX_64, Platform.OSX_ARM64, Platform.WIN_64)


def course(tmp_path: Path = Path("/course")) -> Course:
    cpu = Variant(name="cpu", platforms=ALL[:2])
    cuda = Variant(
        name="cuda",
        platforms=(Platform.LINUX_64,),
        virtual_packages=(VirtualPackage(name="__cuda", version="12.6"),),
    )
    main = Environment(
        name="phys398",
        spec="environments/phys398.yml",
        engine=EngineKind.CONDA,
        platforms=ALL[:2],
        variants=(cpu, cuda),
        channels=("conda-forge",),
        fallback="phys398-pypi",
    )
    spare = Environment(
        name="phys398-pypi",
        spec="environments/phys398-pypi.in",
        engine=EngineKind.PYPI,
        platforms=ALL,
        variants=(Variant(name="cpu", platforms=ALL),),
        python="3.11",
    )
    return Course(
        name="phys398",
        title="PHYS 398",
        root=tmp_path,
        file=tmp_path / "course.yaml",
        current=FALL,
        semesters=(
            SemesterPlan(semester=FALL, environments=("phys398", "phys398-pypi"), as_of=date(2026, 8, 1)),
        ),
        platforms=ALL,
        environments=(main, spare),
        default_environment="phys398",
    )


def build(platform: Platform, variant: str = "cpu", size: int | None = 1_000_000_000) -> BuildRelease:
    return BuildRelease(
        platform=platform,
        variant=variant,
        digest=f"{platform}-{variant}-0123456789abcdef",
        packages=107,
        download_bytes=size,
        installed_bytes=None if size is None else 3 * size,
    )


def release(*, conda: bool = True, size: int | None = 1_000_000_000) -> Release:
    main = EnvironmentRelease(
        name="phys398",
        engine=EngineKind.CONDA,
        lockfile="phys398.conda-lock.yml",
        spec_digest="s",
        lock_digest="l",
        python=None,
        builds=(
            build(Platform.LINUX_64, size=size),
            build(Platform.LINUX_64, "cuda", size=size),
            build(Platform.OSX_ARM64, size=size),
        ),
    )
    spare = EnvironmentRelease(
        name="phys398-pypi",
        engine=EngineKind.PYPI,
        lockfile="phys398-pypi.requirements.txt",
        spec_digest="s",
        lock_digest="l",
        python="3.11",
        builds=tuple(build(p) for p in ALL),
    )
    return Release(
        semester=FALL, course="phys398", as_of=None, environments=(main, spare) if conda else (spare,)
    )


def gpu(cuda: str) -> GpuFact:
    return GpuFact(cuda=cuda, name="NVIDIA T4", reason=f"NVIDIA T4, driver for CUDA {cuda}")


@pytest.mark.parametrize(
    ("fact", "variant"),
    [
        (NO_GPU, "cpu"),
        (gpu("12.4"), "cpu"),
        (gpu("12.6"), "cuda"),
        (gpu("13.0"), "cuda"),
        (gpu("nonsense"), "cpu"),
    ],
)
def test_cuda_is_chosen_only_where_the_driver_supports_it(fact: GpuFact, variant: str) -> None:
    choice = choose(course(), release(), Platform.LINUX_64, fact, wanted=None, variant="auto")
    assert choice.build.variant == variant
    assert choice.reasons[-1] == f"gpu: {fact.reason}: {variant}"


def test_cuda_is_never_chosen_where_it_was_not_frozen() -> None:
    choice = choose(course(), release(), Platform.OSX_ARM64, gpu("13.0"), wanted=None, variant="auto")
    assert choice.build.variant == "cpu"


def test_a_variant_asked_for_is_taken_or_refused_with_the_list() -> None:
    taken = choose(course(), release(), Platform.LINUX_64, NO_GPU, wanted=None, variant="cuda")
    assert taken.build.variant == "cuda"
    with pytest.raises(UsageError, match="has no variant rocm for linux-64") as caught:
        choose(course(), release(), Platform.LINUX_64, NO_GPU, wanted=None, variant="rocm")
    assert caught.value.cause == "it has cpu, cuda"


def test_a_semester_without_the_default_takes_its_fallback_and_says_so() -> None:
    choice = choose(course(), release(conda=False), Platform.LINUX_64, NO_GPU, wanted=None, variant="auto")
    assert choice.environment.name == "phys398-pypi"
    assert choice.reasons[0] == "environment: phys398-pypi, because phys398 is not part of fall2026"


def test_a_platform_without_the_default_takes_its_fallback() -> None:
    choice = choose(course(), release(), Platform.WIN_64, NO_GPU, wanted=None, variant="auto")
    assert choice.environment.name == "phys398-pypi"
    assert "phys398 is not for win-64" in choice.reasons[0]


def test_a_platform_that_nothing_covers_is_named() -> None:
    with pytest.raises(LockError, match="fall2026 has nothing for linux-aarch64"):
        choose(course(), release(), Platform.LINUX_AARCH64, NO_GPU, wanted=None, variant="auto")


def test_a_misspelt_environment_is_corrected() -> None:
    with pytest.raises(UsageError, match="has no environment phys389") as caught:
        choose(course(), release(), Platform.LINUX_64, NO_GPU, wanted="phys389", variant="auto")
    assert "coursectl up fall2026 --env phys398" in str(caught.value.hints[0])


def test_an_environment_that_the_semester_does_not_pin_is_refused() -> None:
    with pytest.raises(UsageError, match="fall2026 does not pin the environment phys398"):
        choose(course(), release(conda=False), Platform.LINUX_64, NO_GPU, wanted="phys398", variant="auto")


def ready(free: int, *, size: int | None = 1_000_000_000) -> up.Ready:
    facts = Facts(platform=Platform.LINUX_64, gpu=NO_GPU, free_bytes=free)
    chosen = choose(course(), release(size=size), Platform.LINUX_64, NO_GPU, wanted=None, variant="auto")
    return up.plan(course(), release(size=size), chosen, facts)


def test_a_disk_that_is_too_small_is_refused_with_the_bytes() -> None:
    with pytest.raises(DiskSpaceError, match=r"4000000000 bytes.*3999999999 bytes.*are free"):
        up.refuse_full_disk(ready(3_999_999_999).plan)
    up.refuse_full_disk(ready(4_000_000_000).plan)


def test_an_unknown_size_is_unknown_and_not_zero() -> None:
    plan = ready(10, size=None).plan
    assert plan.needed_bytes is None
    assert plan.seconds is None
    up.refuse_full_disk(plan)


def test_the_prefix_is_named_by_semester_and_digest() -> None:
    assert Path(ready(1).plan.prefix).name == "phys398-fall2026-linux-64-c"
