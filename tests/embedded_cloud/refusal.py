"""A service's "no", said once and rendered in the flavour's dialect.

OpenStack wraps a fault in a key named after its status; Huawei Cloud's services and its API gateway each have
a shape of their own.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.embedded_cloud.messages import Answer, json_answer

if TYPE_CHECKING:
    from tests.embedded_cloud.messages import Call

FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}

# What Cinder and Nova say to the client when anything unforeseen happens inside them.
ERRED = "The server has either erred or is incapable of performing the requested operation."

_NOT_FOUND_HTML = (
    "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
    "  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>"
)


class Refusal(Exception):
    """A request that a service refuses.

    ``vendor`` is the status and code that Huawei Cloud uses for it instead.
    """

    def __init__(self, status: int, message: str, vendor: tuple[int, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.vendor = vendor or (status, f"EVS.5{status}")


def openstack_fault(status: int, message: str) -> Answer:
    return json_answer(
        status, {FAULT_NAMES.get(status, "computeFault"): {"code": status, "message": message}}
    )


def vendor_fault(status: int, code: str, message: str) -> Answer:
    return json_answer(status, {"error": {"code": code, "message": message}})


def gateway_fault(status: int, code: str, message: str) -> Answer:
    """Answer as Huawei Cloud's API gateway does, before a request reaches any service."""
    request = uuid.uuid4().hex
    content = {"error_msg": message, "error_code": code, "request_id": request}
    return json_answer(status, content, ("X-Request-Id", request))


def no_route(call: Call) -> Answer:
    """Answer a path that no route knows, as webob words it for what the client accepts."""
    accept = call.headers.get("accept", "*/*")
    if "application/json" in accept and "html" not in accept and "*/*" not in accept:
        content = {
            "message": "The resource could not be found.<br /><br />\n\n\n",
            "code": "404 Not Found",
            "title": "Not Found",
        }
        return json_answer(404, content)
    return Answer(404, _NOT_FOUND_HTML.encode(), [("Content-Type", "text/html; charset=UTF-8")])
