"""The many error bodies of the services, read by one tolerant parser, and turned into one failure.

Shapes: the vendor's pages show a dozen (service, gateway, identity, key management, Cinder and Nova), and its
ECS wraps Nova's answer as JSON inside a message under status 400. The SDK's own reader
(`huaweicloudsdkcore/exceptions/exception_handler.py`) looks for pairs of code and message; so does this one.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from handler.cloud.messages import Answer, seconds_of, shown_id
from handler.cloud.redaction import WITHHELD, holds, one_line, quoted
from handler.errors import (
    ErrorCode,
    Failure,
    Misconfigured,
    PermissionDenied,
    Refused,
    Throttled,
    TokenRejected,
    Upstream,
    UpstreamRejected,
    UpstreamUnavailable,
)
from handler.model.bounded_json import loads

_PAIRS = (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message"))
_TOKEN_CODES = frozenset({"EVS.0002", "Common.0013"})
_PROJECT_CODES = frozenset({"EVS.0001", "Common.0018"})
_LONGEST_MESSAGE = 300
_LONGEST_CODE = 80
_DEEPEST = 4
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_ASKS_TO_WAIT = frozenset({408, 425, 429})

UNREADABLE = "unreadable"
"""What stands for a word of the cloud that is no short plain one."""


class Fault(NamedTuple):
    """An error body, read. `kind` is the key that the body stood under (`itemNotFound`, `error`, …).

    `inner` is the service's own body where it came as JSON inside `message`. `request_id` is what the
    vendor's gateway writes into the body, in no header. Secrets may be in all of it: it is for comparing, and
    only `upstream` quotes it.
    """

    kind: str | None
    code: str | None
    message: str | None
    inner: Fault | None = None
    request_id: str | None = None

    def __repr__(self) -> str:
        """Without what the service said."""
        return "Fault()"

    @property
    def innermost(self) -> Fault:
        """The service's own words."""
        return self.inner.innermost if self.inner else self


def read_fault(answer: Answer) -> Fault:
    """Read an error body of whatever shape; an unreadable one gives a Fault of nothing but None."""
    return _from_text(answer.body, _DEEPEST)


def _from_text(text: bytes | str, depth: int) -> Fault:
    try:
        body = loads(text)
    except ValueError:
        body = None
    return _from_body(None, body, depth) or Fault(None, None, None)


def _from_body(kind: str | None, body: object, depth: int) -> Fault | None:
    if not isinstance(body, dict) or depth == 0:
        return None
    for code_key, message_key in _PAIRS:
        if code_key in body and message_key in body:
            read = _fault(kind, body[code_key], body[message_key], depth)
            asked = body.get("request_id")
            return read._replace(request_id=asked) if isinstance(asked, str) else read
    for key, value in body.items():
        fault = _from_body(key, value, depth - 1)
        if fault:
            return fault
    # Nova's router, and KeyError-shaped answers of some gateways, say only what happened
    if isinstance(body.get("message"), str):
        return _fault(kind, None, body["message"], depth)
    # Vault's are a list of texts ("HTTP API", error response)
    errors = body.get("errors")
    if isinstance(errors, list) and errors and all(isinstance(error, str) for error in errors):
        return _fault(kind, None, "; ".join(errors), depth)
    return None


def _fault(kind: str | None, code: Any, message: Any, depth: int) -> Fault:
    code = one_line(str(code), _LONGEST_CODE) if isinstance(code, (str, int)) else None
    message = message if isinstance(message, str) else None
    inner = None
    if message and message.lstrip().startswith("{"):
        inner = _from_text(message, depth - 1)
        inner = inner if inner.kind or inner.code else None
    return Fault(kind, code, None if message is None else one_line(message, _LONGEST_MESSAGE), inner)


def plain_word(value: object, secrets: tuple[str, ...] = ()) -> str:
    """A status of the cloud, where it is a short plain word, else `UNREADABLE`.

    It ends in results, messages and logs, where nothing else may.
    """
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and not (secrets and holds(value, secrets)):
        return value
    return UNREADABLE


def upstream(answer: Answer, fault: Fault | None = None) -> Upstream:
    """What goes into a result: status, the service's code and message, the request id."""
    fault = fault or read_fault(answer)
    own, secrets = fault.innermost, answer.secrets
    code = None if own.code is None else quoted(own.code, secrets, _LONGEST_CODE)
    message = None if own.message is None else quoted(own.message, secrets, _LONGEST_MESSAGE)
    if message is None and own.message is not None:
        message = WITHHELD
    return Upstream(answer.status, code, message, answer.request_id or shown_id(fault.request_id, secrets))


def refuses_token(answer: Answer) -> bool:
    """Whether the cloud refused the token: 401, or one of the vendor's 400s. It acted on nothing then."""
    if answer.status == 401:
        return True
    if answer.status != 400:
        return False
    fault = read_fault(answer)
    return bool({fault.code, fault.innermost.code} & _TOKEN_CODES)


def passes(answer: Answer) -> bool:
    """Whether a 4xx only asks to come back later.

    408 (a balancer whose idle time is over), 425, 429; 413 as Cinder's and Nova's rate limit words it
    (`overLimit`) or with a Retry-After: without either it is about a size or a quota.
    """
    if answer.status == 413:
        return answer.retry_after is not None or _over_limit(answer) is not None
    return answer.status in _ASKS_TO_WAIT


def retry_hint(answer: Answer) -> float | None:
    """The cloud's hint in seconds, when to ask again: the header's, else the one that `overLimit` holds."""
    if answer.retry_after is not None:
        return answer.retry_after
    hint = (_over_limit(answer) or {}).get("retryAfter")
    return seconds_of(str(hint)) if isinstance(hint, (str, int)) else None


def _over_limit(answer: Answer) -> dict[str, Any] | None:
    if answer.status not in {413, 429}:
        return None
    try:
        body = loads(answer.body)
    except ValueError:
        return None
    said = body.get("overLimit") if isinstance(body, dict) else None
    return said if isinstance(said, dict) else None


def failure(answer: Answer, service: str) -> Failure:
    """The failure that an answer other than 2xx means, by the table of codes in docs/contract.md."""
    fault = read_fault(answer)
    said = upstream(answer, fault)
    status = answer.status
    codes = {fault.code, fault.innermost.code}
    quoted = f": {said.message.rstrip(' .;')}" if said.message else ""  # each sentence ends it its own way
    found = f"The {service} service answered {status}{quoted}"
    result: Failure
    if refuses_token(answer):
        result = TokenRejected(
            f"The {service} service refuses the token, also after renewal{quoted}. Check the secret that "
            "DETACH_TOKEN_SECRET names and whether its user is enabled.",
            upstream=said,
        )
    elif status == 403:
        result = PermissionDenied(
            f"{found}. The token's role or policy doesn't allow this call: grant it (docs/operating.md).",
            upstream=said,
        )
    elif passes(answer):
        result = Throttled(f"{found}. That passes by itself: ask again later.", upstream=said)
    elif status >= 500:
        result = UpstreamUnavailable(f"{found}. Ask again later.", upstream=said)
    elif status == 400 and (
        codes & _PROJECT_CODES or "malformed request url" in (fault.innermost.message or "").lower()
    ):
        # Cinder's and Nova's answer when the project in the path is not the token's
        result = Misconfigured(
            f"{found}. The token is of another project than the path: check DETACH_PROJECT_ID, the endpoints "
            "and the secret.",
            upstream=said,
        )
    elif status == 409 and service == "volume":
        result = Refused(
            ErrorCode.USE_COMPUTE_API,
            f"{found}. The cloud itself refuses to clear this record: if a server holds the volume, detach "
            "it there.",
            upstream=said,
        )
    elif status == 404:
        result = UpstreamRejected(f"{found}; check the endpoint's address.", upstream=said)
    elif 300 <= status < 400:
        result = UpstreamRejected(
            f"The {service} service answered {status}, a redirect, never followed: check the endpoint.",
            upstream=said,
        )
    else:
        result = UpstreamRejected(f"{found}.", upstream=said)
    result.retry_after = retry_hint(answer)
    return result
