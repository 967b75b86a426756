"""The handler by hand again, but with a pydantic model of its request: the libraries are those of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from tests.bench import plain

if TYPE_CHECKING:
    from flask import Request


class _Asked(BaseModel):
    volume_id: str
    attachment_id: str
    server_id: str


def detach(request: Request) -> dict[str, bool]:
    asked = _Asked.model_validate_json(request.get_data())
    plain.clear(asked.volume_id, asked.attachment_id, asked.server_id)
    return {"ok": True}
