"""A cloud that costs next to nothing: ``python -m tests.bench.stub`` prints its port and serves.

It answers the four calls of one target with canned answers, as recorded of a real Cinder and Nova. A volume
is in use by a server that is gone; the one look after its os-detach sees it available. So every volume can be
cleared again and again, and the stub remembers nothing for long.
"""

from __future__ import annotations

import itertools
import json
import re
import selectors
import socket
import uuid
from dataclasses import dataclass

PROJECT = "f70daff965149cc9d998ec4e99145adc"

_REQUEST = re.compile(rb"(GET|POST) /[^ ]*?/(?:cloud)?(volumes|servers)/([0-9a-f-]{36})[ /]")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Stuck:
    """The ids of one stuck volume. They differ in their first block, so that the stub needs no table."""

    volume_id: str
    attachment_id: str
    server_id: str


def stuck() -> Stuck:
    """A volume that the stub says is stuck: any will do."""
    rest = str(uuid.uuid4())[8:]
    return Stuck(f"aaaaaaaa{rest}", f"bbbbbbbb{rest}", f"cccccccc{rest}")


def _volume(status: str, attachments: list[dict[str, object]]) -> bytes:
    """The body of a volume whose ids share the place of VOLUME."""
    record = {
        "id": "aaaaaaaaVOLUME",
        "status": status,
        "size": 100,
        "availability_zone": "nova",
        "created_at": "2026-01-11T09:12:45.000000",
        "updated_at": "2026-02-28T17:40:02.000000",
        "name": "data",
        "description": None,
        "volume_type": "lvmdriver-1",
        "snapshot_id": None,
        "source_volid": None,
        "metadata": {"owner": "shop", "purpose": "database"},
        "links": [
            {"rel": "self", "href": f"http://127.0.0.1/volume/v3/{PROJECT}/volumes/aaaaaaaaVOLUME"},
            {"rel": "bookmark", "href": f"http://127.0.0.1/volume/{PROJECT}/volumes/aaaaaaaaVOLUME"},
        ],
        "user_id": "d3c2ac5b7a1f4c65a0d9e2f1b6a48c07",
        "bootable": "false",
        "encrypted": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "multiattach": False,
        "attachments": attachments,
        "migration_status": None,
        "os-vol-tenant-attr:tenant_id": PROJECT,
    }
    return json.dumps({"volume": record}).encode()


_ATTACHMENT: dict[str, object] = {
    "id": "aaaaaaaaVOLUME",
    "attachment_id": "bbbbbbbbVOLUME",
    "volume_id": "aaaaaaaaVOLUME",
    "server_id": "ccccccccVOLUME",
    "host_name": "compute-7",
    "device": "/dev/vdb",
    "attached_at": "2026-01-11T09:13:02.000000",
}
IN_USE = _volume("in-use", [_ATTACHMENT])
"""A volume in use, whose ids share the place of VOLUME."""
_AVAILABLE = _volume("available", [])
_NO_SERVER = b'{"itemNotFound": {"code": 404, "message": "Instance ccccccccVOLUME could not be found."}}'

_HEAD = (
    b"HTTP/1.1 %b\r\nDate: Sat, 28 Feb 2026 17:40:02 GMT\r\nServer: stub\r\n"
    b"Content-Type: application/json\r\nOpenStack-API-Version: volume 3.0\r\nVary: OpenStack-API-Version\r\n"
    b"x-compute-request-id: %b\r\nx-openstack-request-id: %b\r\nContent-Length: %d\r\n\r\n%b"
)


class Stub:
    """The stub's answers, and its way to serve them."""

    def __init__(self) -> None:
        self._detached: set[bytes] = set()
        self._numbers = itertools.count()

    def serve(self) -> None:
        """Print the port and serve, one thread for all connections."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        print(listener.getsockname()[1], flush=True)
        waiting: dict[socket.socket, bytes] = {}
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is listener:
                        connection, _ = listener.accept()
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        selector.register(connection, selectors.EVENT_READ)
                        waiting[connection] = b""
                        continue
                    connection = key.fileobj  # type: ignore[assignment]  # whatever we registered
                    try:
                        data = connection.recv(65536)
                    except ConnectionError:
                        data = b""
                    if not data:
                        selector.unregister(connection)
                        del waiting[connection]
                        connection.close()
                        continue
                    data = waiting[connection] + data
                    if whole(data):
                        waiting[connection] = b""
                        connection.sendall(self.answer(data))
                    else:
                        waiting[connection] = data

    def answer(self, data: bytes) -> bytes:
        """The answer to a request, as it goes over the wire."""
        asked = _REQUEST.match(data)
        if asked is None:
            return self.written(b"400 Bad Request", b"")
        method, kind, id_ = asked.groups()
        rest = id_[8:]
        if method == b"POST":
            self._detached.add(rest)
            return self.written(b"202 Accepted", b"")
        if kind == b"servers":
            return self.written(b"404 Not Found", _NO_SERVER.replace(b"VOLUME", rest))
        body = IN_USE
        if rest in self._detached:
            self._detached.remove(rest)
            body = _AVAILABLE
        return self.written(b"200 OK", body.replace(b"VOLUME", rest))

    def written(self, status: bytes, body: bytes) -> bytes:
        """An answer with this body."""
        request_id = b"req-%08x-2c5d-4f3e-9a80-5ad4a4ba71f2" % next(self._numbers)
        return _HEAD % (status, request_id, request_id, len(body), body)


def whole(data: bytes) -> bool:
    """Whether a request is there, its body included. Its sender waits for the answer before the next."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head)
    return length is None or len(body) >= int(length[1])


if __name__ == "__main__":
    Stub().serve()
