"""The only HTTP session: timeouts always, retries with jitter, proxies, the system's certificates, offline.

Certificates are checked against the operating system's store (truststore), so a campus whose network
inspects TLS works once its certificate is installed; ``REQUESTS_CA_BUNDLE`` adds one for us alone. Proxies
come from the usual variables (``HTTPS_PROXY``, ``NO_PROXY``). A server on this machine is asked with
`loopback`, which needs none of that and imports little.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from coursectl.errors import CourseError, Hint, NetworkError

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
"""Seconds without a byte, not for the whole answer."""
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server on this machine answered."""

    status: int
    body: bytes


def loopback(
    port: int,
    path: str,
    *,
    token: str | None,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 5.0,
) -> Reply:
    """Ask a server on 127.0.0.1, past any proxy; `token` is Jupyter's, sent as a header.

    Raises:
        OSError: it does not answer, or not in HTTP.
    """
    from http.client import HTTPConnection, HTTPException

    headers = {"Authorization": f"token {token}"} if token else {}
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Reply(status=response.status, body=response.read())
    except HTTPException as exc:
        raise OSError(f"port {port} does not speak HTTP: {exc}") from exc
    finally:
        connection.close()


def session(*, retries: int = 4, offline: bool = False) -> requests.Session:
    """A session for addresses outside this machine. Failures of its requests become errors with `translate`.

    Args:
        retries: how often a request that may be repeated is, after 429, 5xx and lost connections, with
            exponential pauses, jitter, and the server's own ``Retry-After``.
        offline: refuse at once, for ``--offline``.

    Raises:
        NetworkError: `offline` (code ``offline``).
    """
    if offline:
        raise NetworkError(
            "this needs the network, and --offline forbids it",
            hints=("leave --offline away, once, while connected",),
            code="offline",
        )
    import truststore

    truststore.inject_into_ssl()
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class _Timed(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            kwargs.setdefault("timeout", None)
            if kwargs["timeout"] is None:
                kwargs["timeout"] = (CONNECT_TIMEOUT, READ_TIMEOUT)
            return super().request(*args, **kwargs)

    made = _Timed()
    retry = Retry(
        total=retries,
        backoff_factor=0.5,
        backoff_jitter=0.5,
        backoff_max=20,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
    )
    from coursectl import __version__

    made.headers["User-Agent"] = f"coursectl/{__version__}"
    for scheme in ("http://", "https://"):
        made.mount(scheme, HTTPAdapter(max_retries=retry))
    return made


def without_credentials(url: str) -> str:
    """`url` as it may be shown: no user, password or query.

    >>> without_credentials("https://me:secret@mirror.campus.edu:8443/conda?key=1")
    'https://mirror.campus.edu:8443/conda'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def translate(exc: Exception, url: str) -> CourseError:
    """The error to raise for what `requests` raised while asking `url`: what is wrong, by what mends it."""
    import requests

    shown = without_credentials(url)
    offline = Hint(text="work with what is installed:", command="coursectl up --offline")
    if isinstance(exc, requests.exceptions.ProxyError):
        name, proxy = proxy_for(url)
        return NetworkError(
            f"cannot reach {shown}",
            cause=f"the proxy {proxy} does not answer" if proxy else "the proxy does not answer",
            hints=(f"change or unset {name}, or add the host to NO_PROXY", offline),
            code="proxy",
        )
    if isinstance(exc, requests.exceptions.SSLError):
        return NetworkError(
            f"cannot trust {shown}",
            cause="its certificate is not signed by an authority that this computer knows",
            hints=(
                "where the network inspects TLS, set REQUESTS_CA_BUNDLE and SSL_CERT_FILE to its certificate",
                "check the computer's date and time",
            ),
            code="certificate",
        )
    # a time-out after retries comes as a ConnectionError that tells of it in its text only
    if isinstance(exc, requests.exceptions.Timeout) or "timed out" in str(exc):
        cause = "it did not answer in time"
    elif isinstance(exc, requests.exceptions.ConnectionError):
        cause = _connection_cause(exc)
    else:
        cause = f"{type(exc).__name__}: {exc}".replace(url, shown)
    return NetworkError(
        f"cannot reach {shown}",
        cause=cause,
        hints=("check the network; behind a proxy, set HTTPS_PROXY", offline),
    )


def _connection_cause(exc: Exception) -> str:
    text = str(exc)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "its name is not known: no network, or no DNS"
    if "refused" in text:
        return "the connection was refused"
    return "the connection was lost or could not be made"


def proxy_for(url: str) -> tuple[str, str | None]:
    """The variable that names the proxy for `url`, and the proxy without its password (``None``: no proxy).

    The same variables count for requests, uv and py-rattler.
    """
    scheme = urlsplit(url).scheme.upper()
    for name in (f"{scheme}_PROXY", "ALL_PROXY"):
        for spelt in (name.lower(), name):
            value = os.environ.get(spelt)
            if value:
                return spelt, without_credentials(value if "//" in value else f"http://{value}")
    return f"{scheme}_PROXY", None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whether a channel can be used from here; `reason` is one line for the student."""

    ok: bool
    url: str
    reason: str


def reachable(channel: str, timeout: float = 5.0, *, offline: bool = False) -> Reach:
    """Whether the conda channel at the address `channel` (or its index's) gives packages to this machine.

    Its index is asked for and its first bytes are looked at, because a login page of a hotel or a campus
    answers everything with status 200. One try of `timeout` seconds for each of the two names of an index
    (``noarch/repodata.json.zst``, ``noarch/repodata.json``); never raises for what the network does.
    """
    channel = re.sub(r"/noarch/repodata\.json(\.zst)?$", "", channel)
    shown = without_credentials(channel)
    if offline:
        return Reach(ok=False, url=shown, reason="--offline was given")
    if channel.startswith("file://"):
        return _local_channel(channel)
    import requests

    try:
        with session(retries=0) as asked:
            for name in ("repodata.json.zst", "repodata.json"):
                url = f"{channel.rstrip('/')}/noarch/{name}"
                with asked.get(url, timeout=timeout, stream=True, headers={"Range": "bytes=0-63"}) as answer:
                    verdict = _judge(answer, shown)
                if verdict is not None:
                    return verdict
    except requests.exceptions.RequestException as exc:
        error = translate(exc, channel)
        return Reach(ok=False, url=shown, reason=f"{error.message}: {error.cause}")
    return Reach(ok=False, url=shown, reason=f"there is no channel at {shown}")


def _judge(answer: requests.Response, shown: str) -> Reach | None:
    """The verdict over one answer, ``None`` where the other name of the index should be tried."""
    if answer.status_code == 407:
        return Reach(ok=False, url=shown, reason="the proxy asks for a password: put it into HTTPS_PROXY")
    if answer.status_code == 511:
        return Reach(ok=False, url=shown, reason="this network wants you to log in first")
    if answer.status_code in {404, 405, 410}:
        return None
    if answer.status_code not in {200, 206}:
        return Reach(ok=False, url=shown, reason=f"{shown} answers with status {answer.status_code}")
    head = next(answer.iter_content(64), b"").lstrip()
    if head.startswith((_ZSTD, b"{")):
        return Reach(ok=True, url=shown, reason=f"{shown} answers")
    if "html" in answer.headers.get("Content-Type", "") or head[:1] == b"<":
        reason = f"{shown} gives a web page instead of packages: log in to this network first"
        return Reach(ok=False, url=shown, reason=reason)
    return None


def _local_channel(channel: str) -> Reach:
    from pathlib import Path
    from urllib.request import url2pathname

    folder = Path(url2pathname(urlsplit(channel).path)) / "noarch"
    found = any((folder / name).is_file() for name in ("repodata.json.zst", "repodata.json"))
    return Reach(ok=found, url=channel, reason=f"{folder} has {'an' if found else 'no'} index")
