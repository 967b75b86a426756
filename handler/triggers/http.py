"""Plain HTTP: the work is the body, the result is the reply. Flask is known here and nowhere else."""

from __future__ import annotations

from flask import Request, Response
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from handler.errors import InvalidRequest
from handler.model.request import Work
from handler.telemetry import ended_by_host
from handler.triggers.parse import read_work, refuse_misplaced, require_json
from handler.triggers.reply import Reply

_EVENT_TYPES = frozenset({"application/cloudevents+json", "application/cloudevents-batch+json"})
_EVENT_HEADERS = ("ce-specversion", "ce-id", "ce-source", "ce-type")


class Body:
    """A request's body, which is read once and never beyond a limit."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.unread = bool(request.content_length or request.headers.get("Transfer-Encoding"))

    def read(self, limit: int) -> bytes:
        """The whole of it, chunked or not. Raises InvalidRequest, with 413 when it has more bytes.

        Whatever else reading it raises is the sender's doing, not a bug: a length that lies, a chunk that is
        none, a reset. Each server raises errors of its own for it.
        """
        # One more: werkzeug takes a stream that ends right at its limit for one that goes on.
        self._request.max_content_length = limit + 1
        try:
            content = self._request.get_data()
            if len(content) > limit:
                raise RequestEntityTooLarge
            if self._request.content_length not in {None, len(content)}:
                raise ClientDisconnected  # gunicorn gives what there is for the whole
        except RequestEntityTooLarge:
            raise InvalidRequest(f"The request has more than {limit} bytes.", status=413) from None
        except Exception as broken:
            if ended_by_host(broken):
                raise
            raise InvalidRequest("The request's body broke off, or is not framed as HTTP says.") from None
        self.unread = False
        return content


def is_cloudevent(request: Request) -> bool:
    """Whether a request says that it is a CloudEvent, in any of the three modes, well-formed or not."""
    return request.mimetype in _EVENT_TYPES or any(name in request.headers for name in _EVENT_HEADERS)


def require_no_query(request: Request) -> None:
    """Raise InvalidRequest for a request's key in the URL: what is said there would not hold."""
    if request.query_string:
        refuse_misplaced(request.args, "put it into the body")


def read(request: Request, content: bytes, *, max_targets: int) -> list[Work]:
    """Turn a body into work. Raises InvalidRequest: 415 for another media type, 400 for what is in it."""
    if content or request.content_type:
        require_json(request.content_type or "", request.headers.get("Content-Encoding"))
    return [read_work(content, max_targets=max_targets)]


def respond(reply: Reply, body: Body) -> Response:
    """The reply as Flask's own.

    Where the body was not read it is streamed: before any other answer, functions-framework reads the rest
    of the body into memory, however much that is.
    """
    text = reply.body.encode()
    response = Response(iter((text,)) if body.unread else text, reply.status, reply.headers)
    if not text:
        del response.headers["Content-Type"]
    if body.unread:
        response.content_length = len(text)
        response.headers["Connection"] = "close"
    return response
