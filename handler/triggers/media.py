"""Which media types a request may be sent in."""

from __future__ import annotations

from handler.errors import InvalidRequest


def require_json(content_type: str, content_encoding: str | None = None) -> None:
    """Check a Content-Type, and a Content-Encoding where there is one. Raises InvalidRequest with 415."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidRequest("The request must be sent as application/json.", status=415)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
            raise InvalidRequest("The request must be sent in UTF-8.", status=415)
    if content_encoding and content_encoding.lower() != "identity":
        raise InvalidRequest("The request must be sent without Content-Encoding.", status=415)
