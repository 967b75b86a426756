"""One request on its way in: the bytes as they came, and how far it has got.

h11 tells where its head and its body end. The bytes are then read by gunicorn's own parser, which has the
last word on what they mean: what h11 can't read is for gunicorn to answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import h11

LARGEST_HEAD = 65_536
"""Bytes of request line and headers together."""


class NotYetHere(BaseException):
    """Something was read that has not arrived.

    It is no Exception, since what catches those must not take it for a fault.
    """


class Arrival:
    """A request's bytes. `largest_body` is how many bytes of body are waited for, at most."""

    def __init__(self, largest_body: int) -> None:
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        self._largest_body = largest_body
        self._received = bytearray()
        self._body = 0
        self.has_head = False
        self.whole = False
        self.unreadable: int | None = None
        """The status that h11 suggests for what it can't read."""
        self.broken_off = False
        self.awaits_continue = False

    @property
    def begun(self) -> bool:
        """Whether any of it is here."""
        return bool(self._received)

    @property
    def enough(self) -> bool:
        """Whether there is nothing to wait for: it is whole, can't become so, or is already too large."""
        return self.whole or self.unreadable is not None or self.broken_off or self.too_large

    @property
    def too_large(self) -> bool:
        """Whether more of the body is here than is waited for."""
        return self._body > self._largest_body

    def add(self, data: bytes) -> None:
        """Take what came in; none means that nothing will any more."""
        self._received += data
        if not data:
            self.broken_off = not self.whole
        elif self.unreadable is None:
            try:
                self._parser.receive_data(data)
                self._look()
            except h11.RemoteProtocolError as fault:
                self.unreadable = fault.error_status_hint

    def _look(self) -> None:
        while not self.whole:
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                self.has_head = True
                self.awaits_continue = self._parser.they_are_waiting_for_100_continue
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.whole = True
            else:
                return

    @property
    def next_request(self) -> bytes:
        """What came in behind it."""
        return self._parser.trailing_data[0] if self.whole else b""

    def read(self) -> Iterator[bytes]:
        """All that is here, for gunicorn's parser. Raises NotYetHere when it is asked for more."""
        yield bytes(self._received)
        if not (self.whole or self.broken_off):
            raise NotYetHere
