"""Solving with the real solver, on channels served here."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from channel.archive import Package
from channel.served import ServedChannel
from channel.tiny import day
from coursectl import process
from coursectl.errors import CourseFileError, NetworkError, SolveError
from coursectl.model.platform import Platform, VirtualPackage
from engines.conda_kit import solve, versions

CUDA_11 = VirtualPackage(name="__cuda", version="11.8")
CUDA_12 = VirtualPackage(name="__cuda", version="12.8")
FORGE = "https://conda.anaconda.org/conda-forge"

TinyChannel = Callable[..., ServedChannel]


def test_a_solution_is_sorted_and_has_all_that_a_lock_needs(
    tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    channel = tiny_channel()
    solution = solve(tmp_path, channel.url, "pure", "beta", "prefixed")
    assert [p.name for p in solution.packages] == ["alpha", "beta", "prefixed", "pure", "python"]
    beta = solution.packages[1]
    assert (beta.version, beta.build, beta.manager, beta.subdir) == ("2.0", "0", "conda", "noarch")
    assert beta.url == f"{channel.url}/noarch/beta-2.0-0.conda"
    assert beta.depends == ("alpha >=1.1",)
    archive = channel.root / "noarch" / "beta-2.0-0.conda"
    assert beta.size == archive.stat().st_size
    assert len(beta.sha256 or "") == 64
    assert len(beta.md5 or "") == 32


@pytest.mark.parametrize("platform", list(Platform))
def test_every_platform_is_solved_from_this_machine(
    platform: Platform, tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    solution = solve(tmp_path, tiny_channel().url, "prefixed", "pure", platform=platform)
    assert {p.name: p.subdir for p in solution.packages} == {
        "prefixed": str(platform),
        "pure": "noarch",
        "python": str(platform),
    }


@pytest.mark.parametrize(
    ("variant", "virtual", "build"),
    [("cpu", (), "cpu_0"), ("cpu", (CUDA_12,), "cpu_0"), ("cuda", (CUDA_12,), "cuda126_0")],
)
def test_only_what_a_variant_declares_picks_the_cuda_build(
    variant: str,
    virtual: tuple[VirtualPackage, ...],
    build: str,
    tiny_channel: TinyChannel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "13.0")  # what detection on a GPU machine would find
    solution = solve(tmp_path, tiny_channel().url, "torchlike", variant=variant, virtual=virtual)
    assert [p.build for p in solution.packages] == [build]


@pytest.mark.parametrize(
    ("as_of", "alpha"),
    [
        (date(2023, 3, 1), "1.0"),  # published at noon of that day: the day counts to its end
        (date(2023, 8, 31), "1.0"),
        (date(2023, 9, 1), "1.1"),
        (date(2024, 2, 29), "1.1"),
        (None, "2.0"),
    ],
)
def test_an_as_of_day_counts_to_its_end_in_utc(
    as_of: date | None, alpha: str, tiny_channel: TinyChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead: rattler takes naive times for UTC
    solution = solve(tmp_path, tiny_channel().url, "alpha", as_of=as_of)
    assert versions(solution) == {"alpha": alpha}


@pytest.mark.parametrize(("moment", "inside"), [("23:59:59", True), ("00:00:01", False)])
def test_the_last_second_of_a_day_belongs_to_it(
    moment: str, inside: bool, tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    stamp = datetime.fromisoformat(f"2024-05-0{1 if inside else 2}T{moment}+00:00").astimezone(UTC)
    old, new = Package(name="edge", version="1.0"), Package(name="edge", version="2.0", timestamp=stamp)
    solution = solve(tmp_path, tiny_channel([old, new]).url, "edge", as_of=date(2024, 5, 1))
    assert versions(solution) == {"edge": "2.0" if inside else "1.0"}


def test_a_channel_indexed_today_still_has_its_past(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    from rattler.index.index import index_fs

    channel = tiny_channel()
    for index in channel.root.glob("*/repodata*"):
        index.unlink()
    asyncio.run(index_fs(channel.root))
    assert "indexed_timestamp" in (channel.root / "noarch" / "repodata.json").read_text()
    assert versions(solve(tmp_path, channel.url, "alpha", as_of=date(2023, 3, 5))) == {"alpha": "1.0"}


def test_keeping_everything_keeps_everything(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    url = tiny_channel().url
    old = solve(tmp_path, url, "beta", "gamma", as_of=date(2023, 3, 5))
    assert solve(tmp_path, url, "beta", "gamma", keep=old.packages) == old


@pytest.mark.parametrize(
    ("update", "moved"),
    [("gamma", {"gamma": "1.1"}), ("alpha", {"alpha": "1.1"}), ("beta", {"beta": "2.0", "alpha": "2.0"})],
)
def test_an_update_moves_one_package_and_only_what_it_drags_along(
    update: str, moved: dict[str, str], tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    url = tiny_channel().url
    old = solve(tmp_path, url, "beta", "gamma", as_of=date(2023, 3, 5))
    new = solve(tmp_path, url, "beta", "gamma", keep=old.packages, update=[update])
    assert versions(new) == versions(old) | moved


def test_a_kept_package_that_left_the_channel_is_replaced(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    channel = tiny_channel([Package(name="a", version="1.0"), Package(name="a", version="1.1")])
    old = solve(tmp_path, channel.url, "a 1.0")
    other = tiny_channel([Package(name="a", version="1.1", timestamp=day("2024-01-01"))])
    assert versions(solve(tmp_path, other.url, "a", keep=old.packages)) == {"a": "1.1"}


@pytest.mark.parametrize("as_of", [None, date(2025, 1, 1)])
def test_the_first_channel_that_has_a_name_is_the_only_one_for_it(
    as_of: date | None, tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    first = tiny_channel([Package(name="a", version="1.0")])
    second = tiny_channel([Package(name="a", version="9.0"), Package(name="b", version="1.0")])
    solution = solve(tmp_path, [first.url, second.url], "a", "b", as_of=as_of)
    assert [(p.version, p.url.startswith(first.url)) for p in solution.packages] == [
        ("1.0", True),
        ("1.0", False),
    ]


@pytest.mark.parametrize(
    ("specs", "variant", "virtual", "cause", "hint"),
    [
        (
            ["torchlike=*=cuda*"],
            "cuda",
            (CUDA_11,),
            "torchlike 2.5 needs __cuda >=12.6; this variant declares 11.8",
            'set `__cuda: "12.6"` under environments.phys398.variants.cuda in course.yaml',
        ),
        (
            ["torchlike=*=cuda*"],
            "cpu",
            (),
            "torchlike 2.5 needs __cuda >=12.6; this variant declares none",
            'move it to the `specs` of a variant that declares `__cuda: "12.6"` in course.yaml',
        ),
        (
            ["needs-new-glibc"],
            "cpu",
            (),
            "needs-new-glibc 1.0 needs __glibc >=2.99; this variant declares 2.28",
            'set `__glibc: "2.99"` under environments.phys398.variants.cpu in course.yaml',
        ),
        (
            ["alpah"],
            "cpu",
            (),
            "there is no package called alpah in {url} for linux-64",
            "did you mean alpha? change it in environments/phys398.yml",
        ),
        (
            ["alpha >3"],
            "cpu",
            (),
            "no alpha >3 in {url} for linux-64: the newest is 2.0 of 2024-03-01",
            "change the version of alpha in environments/phys398.yml",
        ),
        (
            ["impossible"],
            "cpu",
            (),
            "impossible 1.0 needs alpha >=9, but the newest is 2.0 of 2024-03-01",
            "change the version of alpha in environments/phys398.yml",
        ),
        (
            ["beta 2.*", "alpha 1.0"],
            "cpu",
            (),
            "beta 2.0 needs alpha >=1.1; environments/phys398.yml asks for alpha 1.0",
            "loosen alpha 1.0 or beta in environments/phys398.yml",
        ),
        (
            ["rivals"],
            "cpu",
            (),
            "beta 2.0 needs alpha >=1.1, but rivals 1.0 needs alpha ==1.0",
            "loosen the version of beta or rivals in environments/phys398.yml",
        ),
    ],
)
def test_what_cannot_be_solved_names_package_reason_and_remedy(
    specs: list[str],
    variant: str,
    virtual: tuple[VirtualPackage, ...],
    cause: str,
    hint: str,
    tiny_channel: TinyChannel,
    tmp_path: Path,
) -> None:
    url = tiny_channel().url
    with pytest.raises(SolveError) as caught:
        solve(tmp_path, url, *specs, variant=variant, virtual=virtual)
    assert caught.value.message == f"phys398 cannot be solved for linux-64 ({variant})"
    assert caught.value.cause == cause.format(url=url)
    assert str(caught.value.hints[0]) == hint


def test_a_package_younger_than_the_semester_is_said_to_be_so(
    tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    url = tiny_channel().url
    with pytest.raises(SolveError) as caught:
        solve(tmp_path, url, "alpha 2.*", as_of=date(2023, 12, 1))
    assert caught.value.cause == f"no alpha 2.* in {url} for linux-64: the newest of 2023-12-01 is 1.1"


def test_a_spec_that_cannot_be_read_is_named(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    with pytest.raises(CourseFileError, match="'alpha >>3' is not a conda match spec"):
        solve(tmp_path, tiny_channel().url, "gamma", "alpha >>3")


@pytest.mark.parametrize("spec", ["alpha=1.1", "alpha ==1.1", "alpha>=1.1,<2", "alpha 1.1 0", "alpha=1.1=0"])
def test_every_dialect_of_a_spec_is_read(spec: str, tiny_channel: TinyChannel, tmp_path: Path) -> None:
    assert versions(solve(tmp_path, tiny_channel().url, spec)) == {"alpha": "1.1"}


def test_a_channel_out_of_reach_names_its_host(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    channel = tiny_channel()
    host = channel.url.removeprefix("http://")
    with channel.server.down(), pytest.raises(NetworkError, match=f"cannot reach {host}"):
        solve(tmp_path, channel.url, "alpha")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("portal", "sends something else than was asked for"),
        ("503", "answers 503"),
        ("403", "answers 403"),
    ],
)
def test_a_sick_channel_is_an_error_of_the_network(
    fault: str, said: str, tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    channel = tiny_channel()
    if fault == "portal":
        channel.server.portal("*")
    else:
        channel.server.fail("*", status=int(fault))
    with pytest.raises(NetworkError, match=said):
        solve(tmp_path, channel.url, "alpha")


def test_a_channel_that_does_not_exist_is_not_an_empty_one(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="there is no channel there"):
        solve(tmp_path, f"{tiny_channel().url}/mistyped", "alpha")


def test_offline_solves_from_the_cached_index_and_asks_nobody(
    tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    channel = tiny_channel()
    with pytest.raises(NetworkError, match="index is not in the cache"):
        solve(tmp_path, channel.url, "alpha", offline=True)
    solve(tmp_path, channel.url, "alpha")
    channel.server.forget()
    assert versions(solve(tmp_path, channel.url, "alpha", offline=True)) == {"alpha": "2.0"}
    assert channel.server.requests == []


def test_the_lock_names_the_channel_and_not_its_mirror(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    channel = tiny_channel()
    mirrors = {FORGE: (channel.url,)}
    solution = solve(tmp_path, "conda-forge", "alpha", mirrors=mirrors)
    assert solution.packages[0].url == f"{FORGE}/noarch/alpha-2.0-0.conda"
    assert channel.server.count("*/repodata*") > 0


def test_two_solves_give_the_same_solution(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    url = tiny_channel().url
    specs = ("pure", "beta", "gamma", "prefixed", "big")
    first = solve(tmp_path / "a", url, *specs)
    assert solve(tmp_path / "b", url, *reversed(specs)) == first


@pytest.mark.parametrize("channel", ["http://[no", "nonsense://x/y", "http://127.0.0.1:99999/x"])
def test_a_channel_that_is_no_address_is_an_error_of_the_course_file(channel: str, tmp_path: Path) -> None:
    with pytest.raises(CourseFileError, match="names a channel that is no address"):
        solve(tmp_path, channel, "alpha")


_PANIC = """
import asyncio
from coursectl.engines import conda_child
class PanicException(BaseException): ...  # as pyo3 has it
async def panic(*_):
    raise PanicException("index out of bounds")
conda_child.answer = panic
conda_child.main()
"""


def test_a_panic_is_told_like_any_other_failure() -> None:
    ended = process.run([sys.executable, "-c", _PANIC], timeout=60, stdin="{}\n", keep_stdin_open=True)
    assert json.loads(ended.stdout) == {
        "event": "failed",
        "kind": "PanicException",
        "text": "index out of bounds",
        "facts": {},
    }


def test_the_stack_of_a_day_comes_from_conda_forges_real_index(
    conda_forge_sample: str, tmp_path: Path
) -> None:
    mirrors = {FORGE: (conda_forge_sample,)}
    spring, autumn = (
        solve(
            tmp_path,
            "conda-forge",
            *("python", "jupyterlab", "numpy", "scipy", "pandas", "matplotlib-base"),
            platform=platform,
            as_of=moment,
            mirrors=mirrors,
        )
        for platform, moment in (
            (Platform.LINUX_64, date(2024, 1, 15)),
            (Platform.OSX_ARM64, date(2025, 10, 1)),
        )
    )
    assert versions(spring)["numpy"].startswith("1.26")
    assert versions(autumn)["numpy"].startswith("2.")
    for package in (*spring.packages, *autumn.packages):
        assert package.url.startswith(f"{FORGE}/{package.subdir}/")
        assert package.size is None  # the sample does not say
        assert package.sha256
        assert package.md5


def test_a_conflict_deep_in_conda_forge_is_two_lines_not_a_tree(
    conda_forge_sample: str, tmp_path: Path
) -> None:
    with pytest.raises(SolveError) as caught:
        solve(
            tmp_path,
            "conda-forge",
            *("scikit-learn 1.3.*", "scipy >=1.16"),
            mirrors={FORGE: (conda_forge_sample,)},
        )
    assert caught.value.cause is not None
    assert "scikit-learn 1.3" in caught.value.cause
    assert "needs python" in caught.value.cause
    assert "\n" not in caught.value.cause
    assert len(caught.value.cause) < 200


def test_a_server_without_etags_is_asked_again_in_full(tmp_path: Path, tiny_channel: TinyChannel) -> None:
    """rattler 0.28 fails on a 304 for the shard index when the server sent Last-Modified alone."""
    import functools
    import http.server
    import threading

    from rattler.index.index import index_fs

    root = tiny_channel().root
    shutil.rmtree(root / "noarch")
    (root / "noarch").mkdir()
    asyncio.run(index_fs(root))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        answers = [versions(solve(tmp_path / "cache", url, "prefixed")) for _ in range(2)]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert answers == [{"prefixed": "1.0"}] * 2
