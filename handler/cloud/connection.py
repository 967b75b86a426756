"""Connections whose whole answer is bounded in time.

A socket's time-out is per read: a server that drips a byte now and then never meets it (requests documents
this under "Timeouts"). Here every read of one answer, headers included, gets only what is left of that
answer's time. This sits below `requests`, as connection classes of its adapter's urllib3 pools.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from handler.trust import Trust


class _BoundedReads(io.RawIOBase):
    """The socket's raw reads, each with no more time than is left until `until` (monotonic seconds)."""

    def __init__(self, sock: Any, until: float) -> None:
        super().__init__()
        self._sock = sock
        # makefile counts as a user of the socket: a closed connection leaves it open until we are done
        self._raw = sock.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedSocket:
    """What http.client's response needs of a socket: a file to read from."""

    def __init__(self, sock: Any, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReads(self._sock, time.monotonic() + self._seconds), 65536)


class _BoundedAnswer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        # urllib3 sets the read time-out on the socket just before it asks for the response
        bounded: Any = _BoundedSocket(sock, sock.gettimeout() or 0.0)
        super().__init__(bounded, *args, **kwargs)


class _Connection(HTTPConnection):
    response_class = _BoundedAnswer


class _TlsConnection(HTTPSConnection):
    response_class = _BoundedAnswer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class BoundedAdapter(HTTPAdapter):
    """An adapter of `requests` whose read time-out holds for a whole answer.

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
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

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
        response = Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response

    def close(self) -> None:
        """See HTTPAdapter."""
        self._pools.clear()
        super().close()


def split(url: str) -> tuple[str, str]:
    """A URL's origin, and what follows it."""
    end = url.find("/", url.find("://") + 3)
    return (url[:end], url[end:]) if end >= 0 else (url, "/")
