"""A handler that reads its request and does nothing: what the framework takes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Request


def detach(request: Request) -> dict[str, bool]:
    request.get_data()
    return {"ok": True}
