"""A connected socket within a time limit: the look-up of the name and all of its addresses share one.

The system's look-up of a name takes as long as it likes (urllib3 says so under "Timeouts"), and each address
would get the whole time again: a dead first one of three makes a limit of 3 seconds one of 9.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from urllib3.util.connection import allowed_gai_family

from handler.model.addresses import ip_address

Addresses = Sequence[tuple[Any, ...]]
"""What `socket.getaddrinfo` gives."""

MOST_HANGING = 16
"""Look-ups at most that may be under way at a time. Nothing ends one that hangs, so they are counted."""


class Lookups:
    """Looks names up on threads of their own, each name once at a time, and waits no longer than told."""

    def __init__(self, most: int = MOST_HANGING) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._coming: dict[tuple[str, int], Future[Addresses]] = {}

    def addresses(self, host: str, port: int, seconds: float) -> Addresses:
        """The addresses of a host. Raises TimeoutError, or what the system's look-up raises (OSError)."""
        family = allowed_gai_family()
        if ip_address(host) is not None:  # needs no look-up, and so no thread
            return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        key = (host, port)
        with self._lock:
            coming = self._coming.get(key)
            if coming is None:
                if not self._room.acquire(blocking=False):
                    raise TimeoutError("as many look-ups of names hang as may")
                coming = self._coming[key] = Future()
                # No executor: the interpreter would wait at its end for those that hang
                threading.Thread(
                    target=self._look_up, args=(key, family, coming), name="lookup", daemon=True
                ).start()
        try:
            return coming.result(max(0.0, seconds))
        except FutureTimeoutError:
            self._forget(key, coming)  # whoever asks next does not wait for one that hangs
            raise TimeoutError("the look-up of the name took too long") from None

    def _look_up(self, key: tuple[str, int], family: int, coming: Future[Addresses]) -> None:
        try:
            found = socket.getaddrinfo(*key, family, socket.SOCK_STREAM)
        except Exception as failed:  # noqa: BLE001 (raised where it is waited for)
            coming.set_exception(failed)
        else:
            coming.set_result(found)
        finally:
            self._forget(key, coming)
            self._room.release()

    def _forget(self, key: tuple[str, int], coming: Future[Addresses]) -> None:
        with self._lock:
            if self._coming.get(key) is coming:
                del self._coming[key]


_lookups = Lookups()  # of the process, as the threads are that hang


def dial(host: str, port: int, seconds: float, options: Sequence[tuple[Any, ...]] = ()) -> socket.socket:
    """A socket connected to one of the host's addresses, tried in the order of the look-up.

    Each address gets an even share of the time that is left. Raises TimeoutError or OSError.
    """
    until = time.monotonic() + seconds
    addresses = _lookups.addresses(host.strip("[]"), port, seconds)
    failed: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(left / (len(addresses) - position))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or TimeoutError("no address could be tried in time")
