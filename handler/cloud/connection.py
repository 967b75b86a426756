"""Connections that keep to one call's time, and are kept only while nothing about them is in doubt.

The name's look-up, every address and TLS share the time to connect; the answer gets what is left of its own
time and the call's; and nothing is sent any more when connecting has taken too long. This sits below
`requests`, as connection classes of its adapter's urllib3 pools.
"""

from __future__ import annotations

import functools
import re
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.models import PreparedRequest, Response
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from urllib3._collections import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.poolmanager import PoolManager
from urllib3.response import HTTPResponse
from urllib3.util.timeout import Timeout

from handler.cloud.answer_reading import AT_ONCE, BoundedAnswer, more_decrypted, read_whole
from handler.cloud.dial import dial
from handler.settings.trust import Trust

_HEAD = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~\x80-\xff]*\r\n)+\r\n")


class TooLate(Exception):
    """Connecting took so long that the request was not sent."""


class Budget(Timeout):
    """The time of one call: seconds to connect, seconds for the answer, and two moments (monotonic seconds).

    At `until` all of it is over; after `latest` the request is not sent any more.
    """

    def __init__(self, *, connect: float, read: float, until: float, latest: float) -> None:
        super().__init__(connect=connect, read=read)
        self.until = until
        self.latest = latest

    def clone(self) -> Budget:
        """Itself: urllib3 makes a copy for each request since it notes in it when connecting began."""
        return self

    def start_connect(self) -> float:
        """Nothing: both times count from their own start here."""
        return 0.0


class _Timed(HTTPConnection):
    """What both kinds of connection add to urllib3's. The pool sets the two moments before each request."""

    until = latest = float("-inf")
    _connect_until = float("-inf")

    @property
    def response_class(self) -> Any:  # type: ignore[override]
        """See http.client."""
        return functools.partial(BoundedAnswer, spoilt=self._spoilt)

    def _spoilt(self, sock: Any) -> None:
        if self.sock is sock:
            self.close()

    def connect(self) -> None:
        """See urllib3."""
        self._connect_until = time.monotonic() + (self.timeout or 0.0)
        super().connect()

    def _new_conn(self) -> socket.socket:
        """See urllib3, whose errors these are."""
        try:
            sock = dial(
                self._dns_host, self.port, self._connect_until - time.monotonic(), self.socket_options or ()
            )
            self._hurry(sock)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock

    def _tunnel(self) -> None:
        """See http.client. TLS comes after it, in what is left of the time."""
        self._hurry(self.sock)
        super()._tunnel()
        if self.sock is None:
            raise OSError("the proxy said more than that it consents")
        self._hurry(self.sock)

    def _hurry(self, sock: Any) -> None:
        sock.settimeout(max(0.001, self._connect_until - time.monotonic()))

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        **_: Any,
    ) -> None:
        """See urllib3: head and body leave in one piece here.

        Raises TooLate when connecting has taken the time that the answer would need, and ValueError for what
        can't stand in a head.
        """
        if self.sock is None:
            self.connect()
        if time.monotonic() > self.latest:
            raise TooLate
        self.sock.settimeout(self.timeout)
        lines = [f"{method} {url} HTTP/1.1", f"Host: {self._authority(url)}"]
        lines += map(": ".join, headers.items())
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if not _HEAD.fullmatch(head) or head.count(b"\n") != len(lines) + 1:
            raise ValueError("a request's line or header holds what can't stand there")
        self.send(head + (body or b""))

    def _authority(self, url: str) -> str:
        """Whom the request is for: what stands in its URL, or who is at the connection's other end."""
        if not url.startswith("/"):
            return split(url)[0].partition("://")[2]
        host, port = self.host, self.port
        if self._tunnel_host:
            host, port = self._tunnel_host, self._tunnel_port or port
        host = f"[{host}]" if ":" in host else host
        return host if port == self.default_port else f"{host}:{port}"

    def getresponse(self) -> Any:
        """See urllib3. An answer that comes whole and plain is not read through a file."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left for the answer")
        left = min(self.timeout or left, left)
        until = time.monotonic() + left
        sock = self.sock
        sock.settimeout(left)
        received = sock.recv(AT_ONCE)
        whole = read_whole(received)
        if whole is not None and not more_decrypted(sock):
            return whole
        sock.settimeout(max(0.001, until - time.monotonic()))
        return self._read_on(received)

    def _read_on(self, received: bytes) -> HTTPResponse:
        """The answer, of which this was received. It is none to a HEAD, which nobody sends here."""
        answer = BoundedAnswer(self.sock, spoilt=self._spoilt, received=received)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        if answer.will_close:
            self.close()  # the answer keeps the socket until it is read
        return HTTPResponse(
            body=answer,
            headers=HTTPHeaderDict(answer.headers.items()),
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
        )


class _TlsConnection(_Timed, HTTPSConnection):
    pass


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _Timed  # type: ignore[assignment]  # its request takes bytes alone

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = kwargs["timeout"]
        conn.until, conn.latest = budget.until, budget.latest
        return super()._make_request(conn, *args, **kwargs)

    def open(self, seconds: float) -> None:
        """Have a connection ready, as `urlopen` would make one. Raises what connecting does."""
        conn: Any = self._get_conn()
        try:
            if conn.is_closed:
                conn.timeout = seconds
                conn.connect()
        except BaseException:
            conn.close()
            conn = None
            raise
        finally:
            self._put_conn(conn)


class _TlsPool(_TimedPool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection  # type: ignore[assignment]  # the same


class _Answered(Response):
    """A response of `requests` without what a session would need of it, such as a jar for cookies."""

    def __init__(self, request: PreparedRequest, answer: Any) -> None:
        self.status_code = answer.status
        self.headers = answer.headers
        self.raw = answer
        self.request = request


class BoundedAdapter(HTTPAdapter):
    """An adapter of `requests` whose calls keep to their `Budget`, which `timeout` has to be.

    What HTTPAdapter works out anew for each request is kept per origin here, and cookies are left alone: that
    took as long as the exchange itself. There must be room for all origins (`pool_connections`), since a pool
    that is pushed out is closed.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._pools: dict[tuple[Any, ...], Any] = {}
        super().__init__(**kwargs)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """See HTTPAdapter."""
        super().init_poolmanager(connections, maxsize, block=block, **pool_kwargs)
        self._bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """See HTTPAdapter."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        self._bound(manager)
        return manager

    @staticmethod
    def _bound(manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TlsPool}

    def open(self, url: str, trust: Trust, seconds: float) -> None:
        """Have a connection to a URL's origin ready, within so many seconds.

        One that can't be had is the call's to tell of, which tries again.
        """
        request = PreparedRequest()
        request.url = url
        with suppress(RequestException, HTTPError, OSError):
            self.get_connection_with_tls_context(request, trust).open(seconds)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The origin's pool, for one trust (`verify`)."""
        url = request.url or ""
        key = (split(url)[0], verify, cert, select_proxy(url, proxies) if proxies else None)
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._pools[key] = pool
        return pool

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """See HTTPAdapter. `verify` is whom to trust, and no two of them share a connection."""
        host, tls = super().build_connection_pool_key_attributes(request, True, cert)
        trust = verify if any(verify) else Trust(file=DEFAULT_CA_BUNDLE_PATH)
        return host, {**tls, "ca_certs": trust.file, "ca_cert_dir": trust.folder}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the pool was opened with its certificates."""

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """What stands in the request line: the whole URL for a proxy that speaks http, else the path."""
        origin, path = split(request.url or "")
        if proxies and not origin.startswith("https:"):
            return super().request_url(request, proxies)
        return path

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """See HTTPAdapter. Without cookies and a guess at the encoding: a cloud's API has neither."""
        return _Answered(req, resp)

    def close(self) -> None:
        """See HTTPAdapter."""
        self._pools.clear()
        super().close()


def split(url: str) -> tuple[str, str]:
    """A URL's origin, and what follows it."""
    end = url.find("/", url.find("://") + 3)
    return (url[:end], url[end:]) if end >= 0 else (url, "/")
