"""A canary in every place where a secret may stand: it never comes out in anything that coursectl writes."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from channel.program import Ran
from e2e import courses
from e2e.desk import Desk, write_course
from servers import lab

CANARY = "kanari-7f3e9c1a-geheim"
FLAGS: tuple[tuple[str, ...], ...] = ((), ("--json",), ("-v",))


@contextmanager
def watched() -> Iterator[set[str]]:
    """The argument lists of every process that was seen meanwhile: what any user of the machine can read."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            for process in psutil.process_iter():
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def check_silent(ran: Ran, secret: str = CANARY) -> Ran:
    assert secret not in ran.stdout, ran.stdout
    assert secret not in ran.stderr, ran.stderr
    return ran


def holders(folder: Path, secret: str = CANARY) -> list[str]:
    """The files below `folder` with the secret in them."""
    return sorted(
        str(p.relative_to(folder))
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink() and secret.encode() in p.read_bytes()
    )


def check_everywhere(here: Desk, *commands: tuple[str, ...], code: int | None = None) -> None:
    """Run the commands, and look at all that they said, wrote and started."""
    with watched() as processes:
        for command in commands:
            ran = check_silent(here(*command))
            assert code is None or ran.code == code, (command, ran.stderr)
    assert not [line for line in processes if CANARY in line]
    assert holders(here.home) == []
    assert holders(here.course) == []


def proxied(address: str) -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    return dict.fromkeys(names, address) | {"NO_PROXY": "", "no_proxy": ""}


OTHERS = {
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "GITHUB_TOKEN": CANARY,
    "COURSECTL_TOKEN": CANARY,
    "UV_INDEX_CAMPUS_PASSWORD": CANARY,
}
PROXIES = {
    "dead": f"http://ada:{CANARY}@127.0.0.1:9",
    "no port": f"http://ada:{CANARY}@127.0.0.1:port",
    "no host": f"http://ada:{CANARY}@",
    "no scheme": f"ada:{CANARY}@127.0.0.1:9",
    "quoted": f"http://ada:{CANARY}%40x@127.0.0.1:9",
}


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_s_password_is_shown(small: Desk, kind: str) -> None:
    small.env |= OTHERS | proxied(PROXIES[kind])
    # the channel is asked by its own name: a mirror on loopback would be asked past the proxy by some
    small.env["COURSECTL_MIRRORS"] = "https://conda.anaconda.org/conda-forge=http://conda.example.edu/forge"
    commands: list[tuple[str, ...]] = [("up", "--no-launch", "-v")]
    if kind == "dead":
        commands += [("up", "--no-launch", "--json"), ("freeze", "fall2025")]
    check_everywhere(small, *commands)


@pytest.mark.network
def test_a_proxy_s_password_is_shown_by_uv(small_pypi: Desk) -> None:
    small_pypi.env |= OTHERS | proxied(PROXIES["dead"])
    check_everywhere(
        small_pypi,
        ("up", "--no-launch", "-v"),
        ("export", "--format", "pylock", "--json"),
        code=4,
    )


@pytest.mark.network
def test_a_proxy_s_password_is_shown_by_a_fallback(conda: Desk, tmp_path: Path) -> None:
    """The channel is tried, the fallback taken, and that fails too: three clients meet the same proxy."""
    fresh = conda.another(tmp_path / "home", **OTHERS, **proxied(PROXIES["dead"]))
    fresh.cache = tmp_path / "cache"
    fresh.env["COURSECTL_MIRRORS"] = "https://conda.anaconda.org/conda-forge=http://conda.example.edu/forge"
    check_everywhere(fresh, ("up", "--no-launch"), code=4)


@pytest.mark.parametrize(
    "mirror",
    [
        f"https://conda.anaconda.org/conda-forge=https://ada:{CANARY}@mirror.example.edu/c",
        f"https://conda.anaconda.org/conda-forge=https://mirror.example.edu/t/{CANARY}/c",
        f"https://ada:{CANARY}@conda.anaconda.org/conda-forge=https://mirror.example.edu/c",
        f"pypi=https://ada:{CANARY}@mirror.example.edu/simple",
        f"https://ada:{CANARY}@mirror.example.edu/c",
    ],
)
def test_credentials_in_a_mirror_are_shown(small: Desk, mirror: str) -> None:
    good = dict(small.env)
    small.env["COURSECTL_MIRRORS"] = mirror
    commands = [(*words, *flags) for words in (("up", "--no-launch"), ("info",)) for flags in FLAGS]
    check_everywhere(small, *commands, code=2)
    small.env = good
    source, _, target = mirror.rpartition("=")
    course = small.course / "course.yaml"
    whole = course.read_text()
    course.write_text(f'{whole}mirrors: {{"{source or "pypi"}": "{target}"}}\n')
    for flags in FLAGS:
        ran = check_silent(small("info", *flags))
        assert ran.code == 2
    course.write_text(whole)


def wheel(folder: Path, name: str) -> tuple[str, str]:
    """A wheel of one module; its file name and sha256."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    module, info = f"{name}.py", f"{name}-1.0.dist-info"
    texts = {
        module: "x = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_base64(text)},{len(text)}\n" for path, text in texts.items())
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return file.name, sha256(file.read_bytes()).hexdigest()


def _base64(text: str) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


class _Index(SimpleHTTPRequestHandler):
    """Serves an index and remembers who came with a password."""

    logins: ClassVar[list[bool]] = []

    def do_GET(self) -> None:
        self.logins.append("Authorization" in self.headers)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """A test is no place for an access log."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a package index with one package."""
    root = tmp_path / "index"
    (root / "simple/lonely").mkdir(parents=True)
    name, digest = wheel(root / "simple/lonely", "lonely")
    page = f'<!DOCTYPE html><html><body><a href="{name}#sha256={digest}">{name}</a></body></html>'
    (root / "simple/lonely/index.html").write_text(page)
    handler = partial(_Index, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"])
def test_the_password_of_an_index_is_written_into_a_lock_or_a_prefix(
    desk_of: Callable[..., Desk], index: str, tmp_path: Path, variable: str
) -> None:
    # without a day: this index does not tell when a file came
    text = courses.SMALL_PYPI.replace("{as_of: 2026-01-15}", "{}")
    course = write_course(tmp_path / "course", text, bench_in="lonely\n")
    here = desk_of(course, **{variable: f"http://ada:{CANARY}@{index}/simple"})
    with watched() as processes:
        frozen = check_silent(here.ok("freeze", "fall2026", "-v"))
        assert "frozen" in frozen.stdout
        check_silent(here.ok("up", "--no-launch", "-v"))
        check_silent(here.ok("export", "--format", "requirements"))
        check_silent(here.ok("info", "--json"))
    assert all(_Index.logins[-3:])  # so the password was used
    assert not [line for line in processes if CANARY in line]
    assert holders(course) == []
    assert holders(here.home) == []
    lock = (course / "lockfiles/fall2026/bench.requirements.txt").read_text()
    assert "127.0.0.1" not in lock
    here.env[variable] = f"http://ada:{CANARY}@127.0.0.1:9/simple"  # and when nobody answers
    assert check_silent(here("freeze", "fall2025", "--as-of", "2025-01-15", "-v")).code == 4


def test_a_crash_report_holds_a_secret(small: Desk, tmp_path: Path) -> None:
    """An exception that nobody foresaw has the address of the proxy in its text."""
    broken = tmp_path / "broken"
    broken.mkdir()
    code = "import os\nraise RuntimeError('no way through ' + os.environ['HTTPS_PROXY'])\n"
    (broken / "filelock.py").write_text(code)
    small.env |= OTHERS | proxied(PROXIES["dead"]) | {"PYTHONPATH": str(broken)}
    for flags in FLAGS:
        ran = check_silent(small("up", "--no-launch", *flags))
        assert ran.code == 70
        assert "no way through" in ran.stdout + ran.stderr
    assert list((small.home / "logs").glob("crash-*.txt"))
    assert holders(small.home) == []


@pytest.mark.network
def test_the_server_s_token_is_told(reference: Desk) -> None:
    with watched() as processes:
        runs = [reference.ok("up", "--detach", "-v")]
        [server] = reference.servers()
        private = Path(server.log).parent
        token = (private / "token").read_text()
        assert len(token) >= 40
        lab.execute(server, "import os; print(os.environ)")
        for command in (("up", "--detach"), ("status",), ("open",), ("logs", "-n", "1000"), ("env", "list")):
            runs += [reference.ok(*command, *flags) for flags in FLAGS]
        theirs = {f for f in holders(private, token) if f.startswith("runtime/jpserver-")}  # Jupyter's own
        assert set(holders(private, token)) - theirs == {"open.html", "token"}
        assert private.stat().st_mode & 0o077 == 0
        runs.append(reference.ok("down", "--json"))
    for ran in runs:
        check_silent(ran, token)
    assert not [line for line in processes if token in line]
    assert holders(private, token) == []  # a token that is good for nothing now, and gone all the same
