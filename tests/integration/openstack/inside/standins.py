"""Stands in for Neutron and Glance: no networks, no ports, and one empty image. ``standins.py PORT``.

Nova can't boot a server without asking them, and nothing that the suite looks at depends on the answers.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IMAGE = {
    "id": "00000000-0000-4000-8000-000000000001",
    "name": "empty",
    "status": "active",
    "visibility": "public",
    "disk_format": "raw",
    "container_format": "bare",
    "size": 0,
    "min_disk": 0,
    "min_ram": 0,
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "owner": "none",
    "protected": False,
    "checksum": "d41d8cd98f00b204e9800998ecf8427e",
    "tags": [],
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        last = path.rpartition("/")[2]
        if path == "/image/v2/schemas/image":
            self._answer(200, {"name": "image", "properties": {key: {} for key in IMAGE}})
        elif path == f"/image/v2/images/{IMAGE['id']}":
            self._answer(200, IMAGE)
        elif path.startswith("/network/v2.0/"):
            self._answer(200, {last.replace("-", "_"): []})
        else:
            self._answer(404, {"message": f"the stand-in does not know {path}"})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
