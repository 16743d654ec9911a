"""What uv prints when it fails (real texts of uv 0.13, and 0.11 in the old form) and what a person reads."""

# ruff: noqa: E501  (texts of a program, as it prints them)

from __future__ import annotations

import pytest

from coursectl.engines.uv_errors import Doing, plain, translate
from coursectl.errors import (
    CourseError,
    CourseFileError,
    DiskSpaceError,
    InstallError,
    NetworkError,
    SolveError,
)
from coursectl.process import Completed

SOLVING = Doing(
    failed="x.in cannot be solved", solving=True, source="environments/x.in", text="six\nnumpy=>1\n"
)
INSTALLING = Doing(failed="small cannot be installed")

CONTRADICTION = """\
error: No solution found when resolving dependencies for split (markers: python_full_version == '3.11.*')
  cause: Because astropy>=8.0.2 depends on numpy>=2.0 and you require astropy>=8.0.2, we can conclude that you require numpy>=2.0.
         And because you require numpy==1.26.4, we can conclude that your requirements are unsatisfiable.
"""
OLD_FORM = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of numpy==99 and you require numpy==99, we
      can conclude that your requirements are unsatisfiable.
"""
PYTHON = """\
error: No solution found when resolving dependencies for split (markers: python_full_version == '3.11.*')
  cause: Because the requested Python version (>=3.11) does not satisfy Python>=3.12 and numpy==2.5.5 depends on Python>=3.12, we can conclude that numpy==2.5.5 cannot be used.
         And because only numpy<=2.5.5 is available and you require numpy==2.5.5, we can conclude that your requirements are unsatisfiable.
"""
NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because pywin32<=302 has no wheels with a matching Python ABI tag (e.g., `cp311`) and only the following versions of pywin32 are available:
             pywin32<=302
             pywin32>=303
         we can conclude that pywin32<303 cannot be used.

hint: Wheels are available for `pywin32` (v312) on the following platforms: `win32`, `win_amd64`, `win_arm64`
"""
REFUSED = """\
Using Python 3.11.7 environment at: v
error: Request failed after 3 retries in 6.0s
  cause: Failed to fetch: http://campus.example:9/simple/six/
  cause: error sending request for url (http://campus.example:9/simple/six/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
UNKNOWN_HOST = """\
error: Request failed after 3 retries in 10.9s
  cause: Failed to fetch: https://nosuchhost.example/simple/six/
  cause: error sending request for url (https://nosuchhost.example/simple/six/)
  cause: client error (Connect)
  cause: dns error
  cause: error resolving DNS
  cause: failed to lookup address information: Name or service not known
"""
CERTIFICATE = """\
error: Failed to fetch: https://index.example/simple/six/
  cause: error sending request for url (https://index.example/simple/six/)
  cause: client error (Connect)
  cause: invalid peer certificate: UnknownIssuer
"""
FORBIDDEN = """\
error: Failed to fetch: https://index.example/simple/six/
  cause: HTTP status client error (401 Unauthorized) for url (https://index.example/simple/six/)
"""
FULL = """\
Prepared 2 packages in 16ms
error: Failed to install: numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl (numpy==2.4.6)
  cause: Failed to copy to `/e/lib/python3.11/site-packages/numpy.libs/libscipy_openblas64_-32a4b2a6.so`
  cause: failed to copy file from /c/a to /e/b: No space left on device (os error 28)
"""
READ_ONLY = """\
error: Failed to initialize cache at `/c/uv`
  cause: failed to create directory `/c/uv`: Permission denied (os error 13)
"""
HASH = """\
error: Failed to download `six==1.17.0`
  cause: Hash mismatch for `six==1.17.0`

         Expected:
           sha256:0721f391

         Computed:
           sha256:4721f391
"""
BAD_LINE = """\
error: Couldn't parse requirement in `/tmp/x.in` at position 4
  cause: no such comparison operator "=>", must be one of ~= == != <= >= < > ===
         numpy=>1
              ^^^
"""
BAD_INCLUDED = BAD_LINE.replace("x.in", "base.txt")
INCLUDE = """\
error: Error parsing included file in `/tmp/x.in` at position 0
  cause: failed to read from file `/course/nothere.txt`: No such file or directory (os error 2)
"""
BUILD = """\
error: Failed to build `oldthing==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)
"""


def judged(stderr: str, doing: Doing) -> CourseError:
    return translate(Completed(argv=("uv",), returncode=1, stdout="", stderr=stderr, seconds=1.0), doing)


@pytest.mark.parametrize(
    ("stderr", "doing", "kind", "code", "says"),
    [
        (CONTRADICTION, SOLVING, SolveError, "unsolvable", "astropy>=8.0.2 depends on numpy>=2.0"),
        (OLD_FORM, SOLVING, SolveError, "unsolvable", "there is no version of numpy==99 and you require"),
        (OLD_FORM, INSTALLING, InstallError, "not-on-index", "there is no version of numpy==99"),
        (PYTHON, SOLVING, SolveError, "unsolvable", "numpy==2.5.5 depends on Python>=3.12"),
        (NO_WHEEL, SOLVING, SolveError, "no-wheel", "pywin32 (v312) on the following platforms: win32"),
        (NO_WHEEL, INSTALLING, InstallError, "no-wheel", "win_amd64"),
        (REFUSED, INSTALLING, NetworkError, "network", "nobody answers there"),
        (UNKNOWN_HOST, SOLVING, NetworkError, "network", "its name is not known here"),
        (CERTIFICATE, SOLVING, NetworkError, "network", "certificate is not trusted"),
        (FORBIDDEN, SOLVING, NetworkError, "network", "refused the credentials"),
        (FULL, INSTALLING, DiskSpaceError, "disk-full", "No space left"),
        (READ_ONLY, INSTALLING, CourseError, "not-writable", "Permission denied"),
        (HASH, INSTALLING, InstallError, "hash-mismatch", "expected sha256 0721f391, got 4721f391"),
        (BAD_LINE, SOLVING, CourseFileError, "course-file", 'no such comparison operator "=>"'),
        (INCLUDE, SOLVING, CourseFileError, "course-file", "/course/nothere.txt"),
        (BUILD, SOLVING, SolveError, "build", "build backend returned an error"),
        ("", INSTALLING, InstallError, "install", "uv ended with 1"),
    ],
)
def test_a_failure_of_uv_is_not_in_our_words(
    stderr: str, doing: Doing, kind: type[CourseError], code: str, says: str
) -> None:
    error = judged(stderr, doing)
    assert type(error) is kind
    assert error.code == code
    assert says in str(error.cause)
    assert "conclude" not in str(error.cause)
    assert "\n" not in str(error.cause)
    assert len(str(error.cause)) < 450


def test_the_host_is_not_named() -> None:
    assert "campus.example:9" in judged(REFUSED, INSTALLING).message
    assert any("SSL_CERT_FILE" in str(h) for h in judged(CERTIFICATE, SOLVING).hints)
    assert any("netrc" in str(h) for h in judged(FORBIDDEN, SOLVING).hints)


def test_a_bad_line_of_an_included_file_is_blamed_on_the_spec() -> None:
    assert judged(BAD_LINE, SOLVING).message.startswith("environments/x.in:2: ")
    assert judged(BAD_INCLUDED, SOLVING).message.startswith("/tmp/base.txt: ")


def test_a_timeout_is_read_as_an_unknown_failure() -> None:
    ended = Completed(argv=("uv",), returncode=-9, stdout="", stderr="", seconds=600.0, timed_out=True)
    assert translate(ended, INSTALLING).cause == "uv was not done after 10 minutes"


def test_a_long_proof_is_printed_whole() -> None:
    step = "And because a-{0}>=1 depends on b-{0}>=2, we can conclude that a-{0}>=1 cannot be used. "
    proof = "Because first>=1 depends on second>=2, we can conclude that first is out. "
    proof += "".join(step.format(n) for n in range(40))
    proof += "And because you require last==1, we can conclude that your requirements are unsatisfiable."
    assert plain(proof) == "first>=1 depends on second>=2; you require last==1"
