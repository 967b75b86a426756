"""The rule's rows as a stateful cloud can bring them about: what is asked, what goes wrong, the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.embedded_cloud import seed

KEY = "the-key-of-the-callers"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Case:
    """One call of the function.

    `trouble` are rules of misbehaviour, `switches` the cloud's; `posts` counts the os-detach calls, `retry`
    says whether Retry-After is there. A case of one `flavour` is none of the other's.
    """

    name: str
    form: Any
    http: int
    outcome: str | None
    code: str | None = None
    changed: bool | None = False
    posts: int = 0
    retry: bool = False
    retry_after: str | None = None
    trouble: tuple[dict[str, Any], ...] = ()
    switches: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=lambda: dict(AUTHORIZED))
    flavour: str | None = None


def _of(name: str, **more: Any) -> dict[str, Any]:
    """The form that names the demo world's volume and attachment of that name."""
    attachment = getattr(seed, f"{name}_ATTACHMENT", None)
    form = {"volume_id": getattr(seed, f"{name}_VOLUME"), "attachment_id": attachment, **more}
    return {key: value for key, value in form.items() if value is not None}


_ORPHAN = _of("ORPHAN")
_GET = {"method": "GET", "times": None}
_POST = {"service": "volume", "method": "POST"}
_GATEWAY = {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}

CLEARED = [
    Case("an orphan is cleared", _ORPHAN, 200, "detached", changed=True, posts=1),
    Case(
        "the only attachment is found",
        {"volume_id": seed.ORPHAN_VOLUME},
        200,
        "detached",
        changed=True,
        posts=1,
    ),
    Case(
        "the gone one of two is cleared",
        _of("MULTI", attachment_id=seed.MULTI_GONE_ATTACHMENT),
        200,
        "detached",
        changed=True,
        posts=1,
    ),
    Case(
        "the guard lets its server's through",
        _of("ORPHAN", server_id=seed.GONE_SERVER),
        200,
        "detached",
        changed=True,
        posts=1,
    ),
    Case(
        "a recorded deletion is proof",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=1,
        settings={"DETACH_SERVER_CHECK": "recorded"},
    ),
    Case(
        "what a stopped server doesn't hold is cleared by not-held",
        {"volume_id": seed.FORGOTTEN_VOLUME},
        200,
        "detached",
        changed=True,
        posts=1,
        settings={"DETACH_SERVER_CHECK": "not-held"},
    ),
    Case(
        "nobody looks for a server under off",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=1,
        settings={"DETACH_SERVER_CHECK": "off"},
    ),
    Case("a dry run only looks", {**_ORPHAN, "dry_run": True}, 200, "would_detach"),
    Case("an absent volume is absent", _of("ABSENT"), 200, "volume_absent"),
    Case("an available volume is already detached", _of("AVAILABLE"), 200, "already_detached"),
    Case(
        "an attachment that is gone is already detached",
        _of("LIVE", attachment_id=NOBODY),
        200,
        "already_detached",
    ),
    Case(
        "an effect after a 500 is seen",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=1,
        trouble=({**_POST, "status": 500, "act": True},),
    ),
    Case(
        "an effect after a broken connection is seen",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=1,
        trouble=({**_POST, "drop": "after"},),
    ),
    Case(
        "a lost POST is sent once more",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=2,
        trouble=({**_POST, "drop": "before"},),
    ),
    Case(
        "a 503 that passes is not noticed",
        _ORPHAN,
        200,
        "detached",
        changed=True,
        posts=1,
        trouble=({"service": "volume", "method": "GET", "status": 503},),
    ),
]

REFUSED = [
    Case("several and no id given", {"volume_id": seed.MULTI_VOLUME}, 409, "refused", "attachment_required"),
    Case(
        "the live one of two",
        _of("MULTI", attachment_id=seed.MULTI_LIVE_ATTACHMENT),
        409,
        "refused",
        "server_exists",
    ),
    Case(
        "another server than the guard",
        _of("ORPHAN", server_id=seed.LIVE_SERVER),
        409,
        "refused",
        "server_mismatch",
    ),
    Case("another project's volume", _of("FOREIGN"), 409, "refused", "volume_foreign"),
    Case("a volume that is detaching", _of("DETACHING"), 409, "refused", "volume_state", retry=True),
    Case("a volume that is in maintenance", _of("MAINTENANCE"), 409, "refused", "volume_state", retry=True),
    Case(
        "a volume that is attaching",
        _of("ATTACHING", attachment_id=NOBODY),
        409,
        "refused",
        "volume_state",
        retry=True,
    ),
    Case("a volume that is reserved", _of("RESERVED"), 409, "refused", "volume_state", retry=True),
    Case("a volume that is stuck detaching", _of("STUCK_DETACHING"), 409, "refused", "volume_state"),
    Case("a volume that failed to detach", _of("ERROR_DETACHING"), 409, "refused", "volume_state"),
    Case("a running server's", _of("LIVE"), 409, "refused", "server_exists"),
    Case("a stopped server's", _of("STOPPED"), 409, "refused", "server_exists"),
    Case("a shelved server's", _of("SHELVED"), 409, "refused", "server_exists"),
    Case("a soft-deleted server's", _of("SOFT_DELETED"), 409, "refused", "server_exists"),
    Case("a server's that is being deleted", _of("DELETING"), 409, "refused", "server_exists", retry=True),
    Case(
        "what a stopped server does hold",
        _of("STOPPED"),
        409,
        "refused",
        "server_exists",
        settings={"DETACH_SERVER_CHECK": "not-held"},
    ),
    Case(
        "what a running server may hold",
        _of("LIVE"),
        409,
        "refused",
        "server_exists",
        settings={"DETACH_SERVER_CHECK": "not-held"},
    ),
    Case("a host's", _of("HOST"), 409, "refused", "server_unknown"),
    Case(
        "a deletion that is on no record",
        _of("PURGED"),
        409,
        "refused",
        "server_unknown",
        settings={"DETACH_SERVER_CHECK": "recorded"},
    ),
    Case(
        "a 404 of a gateway for a server",
        _ORPHAN,
        409,
        "refused",
        "server_unknown",
        trouble=({**_GET, "service": "compute", "status": 404, "body": _GATEWAY},),
    ),
    Case(
        "an attachment without an id",
        _ORPHAN,
        409,
        "refused",
        "attachment_unknown",
        trouble=(
            {
                **_GET,
                "service": "volume",
                "status": 200,
                "body": {
                    "volume": {
                        "id": seed.ORPHAN_VOLUME,
                        "status": "in-use",
                        "attachments": [{"server_id": seed.GONE_SERVER}],
                    }
                },
            },
        ),
    ),
    Case(
        "the cloud's own 409",
        _of("LIVE"),
        409,
        "refused",
        "use_compute_api",
        posts=1,
        settings={"DETACH_SERVER_CHECK": "off"},
        flavour="openstack",
    ),
]

FAILED = [
    Case(
        "an accepted call without effect",
        _ORPHAN,
        202,
        "unconfirmed",
        "not_confirmed",
        changed=None,
        posts=1,
        retry=True,
        switches={"settle_delay": 3600.0},
    ),
    Case(
        "two POSTs that fail",
        _ORPHAN,
        503,
        "failed",
        "upstream_unavailable",
        changed=None,
        posts=2,
        retry=True,
        trouble=({**_POST, "status": 500, "times": None},),
    ),
    Case(
        "a POST that is forbidden",
        _ORPHAN,
        502,
        "failed",
        "permission_denied",
        posts=1,
        trouble=({**_POST, "status": 403, "times": None},),
    ),
    Case(
        "a 404 of a gateway for a volume",
        _ORPHAN,
        502,
        "failed",
        "upstream_rejected",
        trouble=({**_GET, "service": "volume", "status": 404, "body": _GATEWAY},),
    ),
    Case(
        "a redirect",
        _ORPHAN,
        502,
        "failed",
        "upstream_rejected",
        trouble=({**_GET, "service": "volume", "redirect_to": "https://elsewhere.example/"},),
    ),
    Case(
        "a token that is refused",
        _ORPHAN,
        502,
        "failed",
        "token_rejected",
        trouble=({**_GET, "service": "volume", "status": 401},),
    ),
    Case(
        "a token that is refused by the vendor's 400",
        _ORPHAN,
        502,
        "failed",
        "token_rejected",
        trouble=(
            {
                **_GET,
                "service": "volume",
                "status": 400,
                "body": {"error": {"code": "Common.0013", "message": "Token."}},
            },
        ),
    ),
    Case(
        "a token that may not look",
        _ORPHAN,
        502,
        "failed",
        "permission_denied",
        trouble=({**_GET, "service": "volume", "status": 403},),
    ),
    Case(
        "a cloud that throttles",
        _ORPHAN,
        503,
        "failed",
        "throttled",
        retry_after="60",
        trouble=({**_GET, "service": "compute", "status": 429, "headers": {"Retry-After": "60"}},),
    ),
    Case(
        "a cloud in trouble",
        _ORPHAN,
        503,
        "failed",
        "upstream_unavailable",
        retry=True,
        trouble=({**_GET, "service": "compute", "status": 500},),
    ),
    Case(
        "an answer that can't be read",
        _ORPHAN,
        503,
        "failed",
        "upstream_unavailable",
        retry=True,
        trouble=({**_GET, "service": "volume", "status": 200, "body": "<html>Welcome</html>"},),
    ),
    Case(
        "too little time",
        _ORPHAN,
        504,
        "failed",
        "deadline_exceeded",
        retry=True,
        settings={"DETACH_TIMEOUT": "1", "DETACH_READ_TIMEOUT": "0.95"},
        switches={"latency": 0.05},
    ),
    Case(
        "a token of another project",
        _ORPHAN,
        500,
        "failed",
        "configuration",
        settings={"DETACH_PROJECT_ID": seed.OTHER_PROJECT},
    ),
    Case(
        "a deployment that is wrong",
        _ORPHAN,
        500,
        "failed",
        "configuration",
        settings={"DETACH_SERVER_CHECK": "nope"},
    ),
    Case(
        "a secret that is not there",
        _ORPHAN,
        500,
        "failed",
        "secret_unavailable",
        settings={"DETACH_TOKEN_SECRET": "env:NOT_THERE"},
    ),
    Case("a caller without a key", _ORPHAN, 401, "failed", "unauthenticated", headers={}),
    Case(
        "a caller with a wrong key",
        _ORPHAN,
        403,
        "failed",
        "forbidden",
        headers={"Authorization": "Bearer another"},
    ),
    Case("a form that is none", {"volume_id": "x"}, 400, "failed", "invalid_request"),
    Case(
        "an attachment_id that is the volume's",
        {"volume_id": NOBODY, "attachment_id": NOBODY},
        400,
        "failed",
        "invalid_request",
    ),
    Case("a bug", _ORPHAN, 500, "failed", "internal"),
]

SEVERAL = [
    Case("all of a batch are well", {"targets": [_ORPHAN, _of("ABSENT")]}, 200, None, changed=True, posts=1),
    Case("all of a batch are refused", {"targets": [_of("LIVE"), _of("STOPPED")]}, 409, None),
    Case(
        "some of a batch are refused", {"targets": [_ORPHAN, _of("LIVE")]}, 207, None, changed=True, posts=1
    ),
    Case(
        "a server's attachments", {"server_id": seed.TWO_DISK_GONE_SERVER}, 200, None, changed=True, posts=2
    ),
    Case("a sweep that meets a foreign volume", {"sweep": {}}, 207, None),
    Case(
        "a sweep whose list of servers is empty",
        {"sweep": {}},
        409,
        None,
        "sweep_refused",
        trouble=({**_GET, "service": "compute", "status": 200, "body": {"servers": []}},),
    ),
    Case(
        "a sweep whose list fails",
        {"sweep": {}},
        503,
        None,
        "listing_failed",
        retry=True,
        trouble=({**_GET, "service": "compute", "status": 500},),
    ),
    Case(
        "a sweep without a compute service",
        {"sweep": {}},
        500,
        None,
        "configuration",
        settings={"DETACH_SERVER_CHECK": "off"},
    ),
]

CASES = [*CLEARED, *REFUSED, *FAILED, *SEVERAL]
