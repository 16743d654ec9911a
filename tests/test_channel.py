"""The channels and the server that the other tests stand on, tried with py-rattler and requests alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import zstandard

from channel.archive import SUBDIRS, File, Package, read_index
from channel.plain_rattler import Refused, install, solve
from channel.served import ServedChannel, TinyChannel
from channel.server import ChannelServer
from channel.tiny import PLATFORMS, catalogue, day, write_tiny

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="packages of the tiny channel that run are shell scripts for Linux"
)


def _output(program: Path, *arguments: str) -> str:
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


# ---------------------------------------------------------------------------------- the server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ChannelServer]:
    root = tmp_path / "files"
    root.mkdir()
    (root / "a.bin").write_bytes(bytes(range(256)) * 40)
    with ChannelServer(root) as server:
        yield server


def test_an_unchanged_file_is_not_sent_twice(served: ChannelServer) -> None:
    first = requests.get(f"{served.url}/a.bin", timeout=5)
    again = requests.get(f"{served.url}/a.bin", headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
    (served.mounts[""] / "a.bin").write_bytes(b"new")
    changed = requests.get(f"{served.url}/a.bin", headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
    assert [first.status_code, again.status_code, changed.status_code] == [200, 304, 200]
    assert (again.content, changed.content) == (b"", b"new")


@pytest.mark.parametrize(
    ("asked", "status", "first", "length"),
    [
        ("bytes=10-19", 206, 10, 10),
        ("bytes=10200-", 206, 216, 40),
        ("bytes=-16", 206, 240, 16),
        ("bytes=10230-99999", 206, 246, 10),
    ],
)
def test_a_part_of_a_file_is_sent(
    served: ChannelServer, asked: str, status: int, first: int, length: int
) -> None:
    got = requests.get(f"{served.url}/a.bin", headers={"Range": asked}, timeout=5)
    assert (got.status_code, got.content[0], len(got.content)) == (status, first, length)


def test_a_part_beyond_the_end_is_refused(served: ChannelServer) -> None:
    got = requests.get(f"{served.url}/a.bin", headers={"Range": "bytes=99999-"}, timeout=5)
    assert (got.status_code, got.headers["Content-Range"]) == (416, "bytes */10240")


def test_a_resumed_download_starts_anew_when_the_file_changed(served: ChannelServer) -> None:
    headers = {"Range": "bytes=100-", "If-Range": '"another"'}
    got = requests.get(f"{served.url}/a.bin", headers=headers, timeout=5)
    assert (got.status_code, len(got.content)) == (200, 10240)


def test_a_server_without_ranges_sends_all(served: ChannelServer) -> None:
    served.no_ranges()
    got = requests.get(f"{served.url}/a.bin", headers={"Range": "bytes=100-"}, timeout=5)
    assert (got.status_code, len(got.content)) == (200, 10240)


def test_nothing_outside_the_folder_is_served(served: ChannelServer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no")
    got = requests.get(f"{served.url}/%2e%2e/secret", timeout=5)
    assert got.status_code == 404


def test_a_busy_server_asks_to_wait_and_then_answers(served: ChannelServer) -> None:
    fault = served.fail("*.bin", status=503, retry_after=2, times=2)
    got = [requests.get(f"{served.url}/a.bin", timeout=5) for _ in range(3)]
    assert [g.status_code for g in got] == [503, 503, 200]
    assert (got[0].headers["Retry-After"], fault.hits) == ("2", 2)


def test_a_truncated_body_is_shorter_than_its_header_says(served: ChannelServer) -> None:
    served.truncate(after=100)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        requests.get(f"{served.url}/a.bin", timeout=5)


def test_a_reset_connection_is_an_error_of_the_network(served: ChannelServer) -> None:
    served.reset(after=100)
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(f"{served.url}/a.bin", timeout=5)


def test_a_stalled_download_sends_nothing_more_until_healed(served: ChannelServer) -> None:
    served.stall(after=100)
    with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
        requests.get(f"{served.url}/a.bin", timeout=0.2)
    served.heal()
    assert len(requests.get(f"{served.url}/a.bin", timeout=5).content) == 10240


def test_a_slow_link_takes_its_time(served: ChannelServer) -> None:
    served.slow(rate=50_000)
    start = time.monotonic()
    assert len(requests.get(f"{served.url}/a.bin", timeout=5).content) == 10240
    assert time.monotonic() - start > 0.15  # 0.2 s at that rate


def test_wrong_bytes_have_the_right_length(served: ChannelServer) -> None:
    good = requests.get(f"{served.url}/a.bin", timeout=5).content
    served.corrupt("*/a.bin")
    bad = requests.get(f"{served.url}/a.bin", timeout=5).content
    assert len(bad) == len(good)
    assert sum(a != b for a, b in zip(good, bad, strict=True)) == 1


def test_a_captive_portal_answers_200_with_a_page(served: ChannelServer) -> None:
    served.portal()
    got = requests.get(f"{served.url}/noarch/repodata.json", timeout=5)
    assert (got.status_code, got.headers["Content-Type"].split(";")[0]) == (200, "text/html")


def test_a_server_that_is_down_refuses_and_returns_on_its_port(served: ChannelServer) -> None:
    url = served.url
    with served.down(), pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        requests.get(f"{url}/a.bin", timeout=5)
    assert requests.get(f"{url}/a.bin", timeout=5).status_code == 200


def test_a_hundred_connections_at_once_are_all_answered(served: ChannelServer) -> None:
    gate = threading.Barrier(100)

    def ask(_: int) -> int:
        gate.wait(timeout=30)
        return requests.get(f"{served.url}/a.bin", timeout=30).status_code

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(ask, range(100))) == {200}
    assert served.count("/a.bin", method="GET") == 100


def test_a_stopped_server_ends_its_stalled_answers_and_threads(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 1000)
    before = set(threading.enumerate())
    with ChannelServer(tmp_path) as server:
        server.stall(after=10)
        client = requests.get(f"{server.url}/a.bin", stream=True, timeout=5)
    client.close()
    assert set(threading.enumerate()) == before


# ---------------------------------------------------------------------------------- the tiny channel


def test_two_builds_of_the_tiny_channel_have_the_same_bytes(tmp_path: Path) -> None:
    one, two = write_tiny(tmp_path / "one"), write_tiny(tmp_path / "two")
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert [f for f in files if (one / f).read_bytes() != (two / f).read_bytes()] == []
    assert len(files) == len(catalogue()) + 2 * len(SUBDIRS)


def test_an_index_does_not_say_when_it_was_made(tiny_channel: TinyChannel) -> None:
    root = tiny_channel().root
    for record in read_index(root):
        assert "indexed_timestamp" not in record
        assert record["timestamp"]
    for subdir in SUBDIRS:
        plain, packed = root / subdir / "repodata.json", root / subdir / "repodata.json.zst"
        assert zstandard.ZstdDecompressor().decompress(packed.read_bytes()) == plain.read_bytes()
    assert list(root.rglob("*shards*")) == []


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (None, ["alpha-2.0-0", "beta-2.0-0"]),
        ("2024-03-15T00:00:00+00:00", ["alpha-1.1-0", "beta-1.0-0"]),
        ("2023-05-01T00:00:00+00:00", ["alpha-1.0-0", "beta-1.0-0"]),
    ],
)
def test_a_past_day_is_solved_with_what_there_was(
    tiny_channel: TinyChannel, as_of: str | None, expected: list[str]
) -> None:
    assert solve(tiny_channel().url, ["beta"], platform="linux-64", as_of=as_of) == expected


def test_the_build_for_cuda_wins_only_where_there_is_cuda(tiny_channel: TinyChannel) -> None:
    url = tiny_channel().url
    with_cuda = solve(url, ["torchlike"], platform="linux-64", virtual={"__cuda": "12.6"})
    assert with_cuda == ["torchlike-2.5-cuda126_0"]
    assert solve(url, ["torchlike"], platform="linux-64") == ["torchlike-2.5-cpu_0"]


@pytest.mark.parametrize(
    ("spec", "named"),
    [("impossible", "alpha >=9"), ("rivals", "alpha"), ("needs-new-glibc", "__glibc >=2.99")],
)
def test_what_cannot_be_solved_is_refused_by_name(tiny_channel: TinyChannel, spec: str, named: str) -> None:
    with pytest.raises(Refused, match=named):
        solve(tiny_channel().url, [spec], platform="linux-64")


@linux_only
def test_prefixes_and_entry_points_of_the_tiny_channel_work(
    tiny_channel: TinyChannel, tmp_path: Path
) -> None:
    prefix = tmp_path / "env"
    install(tiny_channel().url, ["pure", "prefixed"], prefix, tmp_path / "packages")
    assert (prefix / "etc/prefixed.conf").read_text() == f"root = {prefix}/share\n"
    assert (prefix / "lib/link.conf").resolve() == (prefix / "etc/prefixed.conf").resolve()
    binary = (prefix / "lib/prefixed.bin").read_bytes()
    assert f"{prefix}/lib/data\0".encode() in binary
    assert b"placeholder" not in binary
    assert _output(prefix / "bin/pure-hello") == "hello from pure\n"


def test_a_package_added_later_is_seen(tiny_channel: TinyChannel) -> None:
    channel = tiny_channel()
    assert solve(channel.url, ["gamma"], platform="linux-64") == ["gamma-1.1-0"]
    channel.add([Package(name="gamma", version="1.2", timestamp=day("2024-06-01"), files={"g": File()})])
    assert solve(channel.url, ["gamma"], platform="linux-64") == ["gamma-1.2-0"]


# ---------------------------------------------------------------------------------- the real channel


def test_the_real_python_runs_from_its_own_prefix(tiny_channel: TinyChannel, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    install(tiny_channel(python=True).url, ["python", "pure"], prefix, tmp_path / "packages")
    code = "import sys, ssl, sqlite3, sysconfig; print(sys.prefix); print(sysconfig.get_path('purelib'))"
    ran = subprocess.run(
        [prefix / "bin/python", "-I", "-c", code], capture_output=True, text=True, check=True
    )
    minor = ".".join(map(str, __import__("sys").version_info[:2]))
    assert ran.stdout.splitlines() == [str(prefix), f"{prefix}/lib/python{minor}/site-packages"]
    assert subprocess.run([prefix / "bin/pure-hello"], check=True).returncode == 0


@pytest.mark.parametrize("platform", PLATFORMS)
def test_everything_in_the_real_channel_solves_together(
    loopback_channel: ServedChannel, platform: str
) -> None:
    records = [r for r in read_index(loopback_channel.root) if r["subdir"] == platform]
    native = {str(r["name"]) for r in records}
    wanted = native | {"jupyterlab", "ipykernel", "ipympl", "seaborn", "networkx", "sympy", "xarray"}
    solved = solve(loopback_channel.url, sorted(wanted), platform=platform)
    assert len(solved) > 120
    assert native <= {item.rsplit("-", 2)[0] for item in solved}


def test_the_index_of_the_real_channel_does_not_say_when_it_was_made(loopback_channel: ServedChannel) -> None:
    records = read_index(loopback_channel.root)
    assert len(records) > 250
    assert [r["name"] for r in records if "indexed_timestamp" in r or not r["sha256"] or not r["size"]] == []


def test_a_real_stack_is_installed_and_computes(loopback_channel: ServedChannel, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    specs = ["python", "jupyterlab", "ipykernel", "ipympl", "numpy", "scipy", "pandas", "matplotlib"]
    install(loopback_channel.url, [*specs, "scikit-learn", "seaborn"], prefix, tmp_path / "packages")
    code = (
        "import importlib.metadata, json, sys\n"
        "import numpy, scipy.linalg, pandas, matplotlib.pyplot, sklearn, jupyterlab\n"
        "total = float(pandas.DataFrame({'x': numpy.arange(5)}).x.sum())\n"
        "record = importlib.metadata.files('numpy')\n"
        "print(json.dumps([sys.prefix, total, scipy.linalg.det(numpy.eye(3)), len(record) > 500]))"
    )
    assert json.loads(_output(prefix / "bin/python", "-I", "-c", code)) == [str(prefix), 10.0, 1.0, True]
    assert _output(prefix / "bin/jupyter-lab", "--version").startswith("4.")
    kernel = json.loads((prefix / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["argv"][1:3] == ["-m", "ipykernel_launcher"]


def test_the_conda_forge_sample_solves_a_real_stack_of_the_past(conda_forge_sample: str) -> None:
    specs = ["python=3.11", "jupyterlab", "numpy", "pandas", "matplotlib-base"]
    past = solve(conda_forge_sample, specs, platform="linux-64", as_of="2024-01-10T23:59:59+00:00")
    assert any(item.startswith("numpy-1.26") for item in past)
    with pytest.raises(Refused, match="python"):
        solve(conda_forge_sample, ["python"], platform="win-64")
