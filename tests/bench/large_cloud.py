"""A large project that costs next to nothing: ``python -m tests.bench.large_cloud`` prints its port, serves.

Every answer is late by the same time, counted from its request: what it takes to write a page is part of it.
So many volumes are in use at as many servers, whose lists are in two orders that have nothing to do with each
other: nothing that is remembered of the one list goes away soon by the other. Orphans are spread evenly over
the volumes; a look at one, and its os-detach, are the stub's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections import Counter
from urllib.parse import parse_qs

from tests.bench.processes import undisturbed
from tests.bench.stub import IN_USE, Stub, whole

PAGE = 1000
CALLS = "cloud/calls"
"""Where it says how many calls of each kind it got."""

_LIST = re.compile(rb"GET /[^ ]*?/(volumes/detail|servers|calls)(?:\?([^ ]*))? ")
# Their ids end in their place in the list. Orphans' ids begin as the stub's do
_ID = "%s-0000-4000-8000-%012x"
_STRIDE = 7919  # a prime: a step from one volume's server to the next one's
_SERVER = (
    '{"id": "%s", "name": "web-%d", "links": ['
    '{"rel": "self", "href": "http://127.0.0.1/compute/v2.1/servers/%s"}, '
    '{"rel": "bookmark", "href": "http://127.0.0.1/compute/servers/%s"}]}'
)
_VOLUME = json.dumps(json.loads(IN_USE)["volume"])


class LargeCloud(Stub):
    """The lists, and all that is asked of single volumes and servers.

    `calls` counts `servers` and `volumes/detail`, the pages asked for, and `single`.
    """

    def __init__(self, volumes: int, orphans: int) -> None:
        super().__init__()
        self._volumes = volumes
        self._every = volumes // orphans if orphans else volumes + 1
        self.calls = Counter({"servers": 0, "volumes/detail": 0, "single": 0})

    def answer(self, data: bytes) -> bytes:
        """The answer to a request, as it goes over the wire."""
        asked = _LIST.match(data)
        if asked is None:
            self.calls["single"] += 1
            return super().answer(data)
        kind = asked[1].decode()
        if kind == "calls":
            return self.written(b"200 OK", json.dumps(self.calls).encode())
        self.calls[kind] += 1
        query = {name: values[-1] for name, values in parse_qs((asked[2] or b"").decode()).items()}
        start = int(query["marker"][-12:], 16) + 1 if "marker" in query else 0
        start += int(query.get("offset", "0"))
        places = range(start, min(start + int(query["limit"]), self._volumes))
        name = kind.partition("/")[0]
        rows = [self._server(place) if name == "servers" else self._volume(place) for place in places]
        body = f'{{"{name}": [{", ".join(rows)}]'
        if len(places) == int(query["limit"]):
            link = f"http://127.0.0.1/{kind}?limit={PAGE}&marker={json.loads(rows[-1])['id']}"
            body += f', "{name}_links": [{{"rel": "next", "href": "{link}"}}]'
        return self.written(b"200 OK", (body + "}").encode())

    @staticmethod
    def _server(place: int) -> str:
        id_ = _ID % ("eeeeeeee", place)
        return _SERVER % (id_, place, id_, id_)

    def _volume(self, place: int) -> str:
        rest = _ID % ("", place)
        if place % self._every == self._every - 1:
            return _VOLUME.replace("VOLUME", rest)
        server = _ID % ("eeeeeeee", place * _STRIDE % self._volumes)
        text = _VOLUME.replace("ccccccccVOLUME", server)
        return text.replace("aaaaaaaaVOLUME", "dddddddd" + rest).replace("VOLUME", rest)


class _Connection(asyncio.Protocol):
    def __init__(self, cloud: LargeCloud, late: float, volumes_late: float) -> None:
        self._cloud = cloud
        self._late = late
        self._volumes_late = volumes_late
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._transport is not None and whole(self._received):
            loop = asyncio.get_running_loop()
            late = self._volumes_late if b"/volumes/detail" in self._received else self._late
            due = loop.time() + late
            asked, self._received = self._received, b""
            loop.call_at(due, self._transport.write, self._cloud.answer(asked))


async def _serve(cloud: LargeCloud, late: float, volumes_late: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(cloud, late, volumes_late), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.large_cloud", description=__doc__)
    parser.add_argument("--volumes", type=int, required=True, help="how many, and how many servers")
    parser.add_argument("--orphans", type=int, default=0, help="how many of them are orphans")
    parser.add_argument("--late", type=float, default=0.0, help="seconds until each answer")
    parser.add_argument("--volumes-late", type=float, help="those of volumes' pages, if others")
    options = parser.parse_args()
    volumes_late = options.late if options.volumes_late is None else options.volumes_late
    undisturbed()
    asyncio.run(_serve(LargeCloud(options.volumes, options.orphans), options.late, volumes_late))


if __name__ == "__main__":
    main()
