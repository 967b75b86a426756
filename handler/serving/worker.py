"""A gunicorn worker that takes a thread only for a request that is there.

gunicorn's threaded worker reads headers and bodies in its threads: as many slow senders as it has threads
stop it. Here one loop waits for all connections, each for a limited time, and a thread is taken twice at
most: with the head alone, so that callers are judged before a byte of the body is taken in, and again once
the body is whole.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from functions_framework._http import gunicorn as framework
from functions_framework.request_timeout import ThreadingTimeout
from gunicorn.http import RequestParser, errors, wsgi
from gunicorn.workers.base import Worker

from handler.serving.arrival import NotYetHere
from handler.serving.connection import SEND_WITHIN, Connection, Waits
from handler.serving.refusal import refusal

_TICK = 1.0
"""Seconds between two looks at what has waited too long."""

_LAST_WORDS = 1.0
"""Seconds that a connection without a request is kept once the server is to end."""

_STATUS = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}


class BoundedWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Holds `worker_connections` at most; where one more comes, the one that has waited longest gives way."""

    largest_body: int = 262_144

    def init_process(self) -> None:
        """Set up what must not be shared with the parent process, and run."""
        self.set_up()
        super().init_process()

    def set_up(self) -> None:
        """Make what `run` works with."""
        self._poller = selectors.DefaultSelector()
        self._threads = ThreadPoolExecutor(self.cfg.threads, "request")
        self._done: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: dict[Connection, None] = {}  # oldest first
        self._busy = 0
        self._listening = False
        self._ended = False

    def run(self) -> None:
        """Serve until told to end, then finish what has begun."""
        for listener in self.sockets:
            listener.setblocking(False)
        self._poller.register(self.PIPE[0], selectors.EVENT_READ, self._wake)
        while self.alive and self.ppid == os.getppid():
            # With no more open files, and none that could give way, callers wait at the door
            self._listen(yes=bool(self._waiting) or self._busy < self.cfg.worker_connections)
            self._turn()
        self._listen(yes=False)
        for listener in self.sockets:
            listener.close()
        until = time.monotonic() + self.cfg.graceful_timeout
        for connection in self._waiting:
            if not connection.arrival.begun:
                connection.until = min(connection.until, time.monotonic() + _LAST_WORDS)
        while (self._waiting or self._busy) and time.monotonic() < until:
            self._turn()
        for connection in list(self._waiting):
            self._close(connection)
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._poller.close()

    def _listen(self, *, yes: bool) -> None:
        if yes is self._listening:
            return
        self._listening = yes
        for listener in self.sockets:
            if yes:
                accept = partial(self._accept, listener.sock)
                self._poller.register(listener.sock, selectors.EVENT_READ, accept)
            else:
                self._poller.unregister(listener.sock)

    def _turn(self) -> None:
        self.notify()
        for key, _ in self._poller.select(_TICK):
            key.data()
        now = time.monotonic()
        for connection in [one for one in self._waiting if one.until <= now]:
            self._expire(connection)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        with suppress(Empty):
            while True:
                self._done.get_nowait()()

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except OSError:
            return  # gone again, or another worker was faster
        if len(self._waiting) + self._busy >= self.cfg.worker_connections and self._waiting:
            self._close(next(iter(self._waiting)))
        self._watch(Connection(sock, client, listener.getsockname(), self.largest_body))

    def _watch(self, connection: Connection) -> None:
        connection.sock.setblocking(False)
        self._waiting[connection] = None
        self._poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))

    def _unwatch(self, connection: Connection) -> None:
        if connection in self._waiting:
            del self._waiting[connection]
            self._poller.unregister(connection.sock)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.sock.close()

    def _readable(self, connection: Connection) -> None:
        if connection not in self._waiting or not connection.receive():
            return
        if connection.ready:
            self._start(connection)
        elif connection.arrival.broken_off or connection.until == 0.0:
            self._close(connection)

    def _start(self, connection: Connection) -> None:
        self._unwatch(connection)
        self._busy += 1
        connection.sock.settimeout(SEND_WITHIN)
        self._threads.submit(self._serve, connection).add_done_callback(partial(self._tell, connection))

    def _tell(self, connection: Connection, future: Future[Waits]) -> None:
        if self._ended:
            connection.sock.close()  # too late: nobody waits for it any more
            return
        self._done.put(partial(self._finish, connection, future))
        with suppress(OSError):
            os.write(self.PIPE[1], b".")  # full: it wakes up anyway

    def _finish(self, connection: Connection, future: Future[Waits]) -> None:
        self._busy -= 1
        failed = future.cancelled() or future.exception() is not None
        then = Waits.END if failed else future.result()
        try:
            if then is Waits.BODY:
                connection.await_body()
            elif then is Waits.END or not self.alive or not connection.await_next():
                connection.await_end()
        except OSError:
            connection.sock.close()
            return
        if connection.ready:
            self._start(connection)
        else:
            self._watch(connection)

    def _expire(self, connection: Connection) -> None:
        """Close what has waited too long, with an answer where there is a request to answer."""
        if connection.arrival.begun and connection.waits in {Waits.HEAD, Waits.BODY}:
            self._unwatch(connection)
            with suppress(OSError):
                connection.sock.send(refusal(408, f"{connection.waits.value} did not come in time"))
            connection.await_end()
            self._watch(connection)
        else:
            self._close(connection)

    def _serve(self, connection: Connection) -> Waits:
        """Answer a request, in a thread; what to wait for then."""
        try:
            request = next(RequestParser(self.cfg, connection.arrival.read(), connection.client))
        except NotYetHere:
            return self._refuse(connection, connection.arrival.unreadable or 400, "it can't be read")
        except errors.ParseException as fault:
            return self._refuse(connection, _STATUS.get(type(fault), 400), "its head is not as HTTP says")
        except (StopIteration, OSError):
            return Waits.END  # broken off before its head was there
        try:
            return self._respond(connection, request)
        except NotYetHere:
            if connection.arrival.too_large:
                return self._refuse(connection, 413, "its body is too large")
            if connection.arrival.unreadable:
                return self._refuse(connection, 400, "its body can't be read")
            return Waits.BODY
        except OSError:
            return Waits.END  # who asked has gone, or doesn't read
        except Exception:  # the app answers its own faults: this is the server's
            self.log.exception("a request could not be answered")
            return Waits.END

    def _respond(self, connection: Connection, request: Any) -> Waits:
        request._expected_100_continue = False  # noqa: SLF001 (said when the body is asked for, not before)
        response, environ = wsgi.create(
            request, connection.sock, connection.client, connection.server, self.cfg
        )
        environ["wsgi.multithread"] = True
        with _time_limit():
            parts = self.wsgi(environ, response.start_response)
            if not (connection.arrival.whole and self.alive):
                response.force_close()
            try:
                for part in parts:
                    response.write(part)
                response.close()
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        return Waits.END if response.should_close() else Waits.NEXT

    @staticmethod
    def _refuse(connection: Connection, status: int, why: str) -> Waits:
        with suppress(OSError):
            connection.sock.sendall(refusal(status, why))
        return Waits.END


def _time_limit() -> AbstractContextManager[object]:
    """functions-framework's own limit, where it is switched on."""
    seconds = framework.TIMEOUT_SECONDS
    if seconds and os.environ.get("THREADED_TIMEOUT_ENABLED", "").lower() == "true":
        limit: AbstractContextManager[object] = ThreadingTimeout(seconds)  # type: ignore[no-untyped-call]
        return limit
    return nullcontext()
