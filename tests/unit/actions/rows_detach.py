"""The table's rows for steps 5 to 7: the dry run, the one POST, and the look after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import requests

from tests.unit.actions.answers import (
    FREE,
    IN_USE,
    NOVA_GONE,
    OTHER_ATTACHMENT,
    OTHER_SERVER,
    SERVER,
    THE_ACTION,
    THE_SERVER,
    THE_VOLUME,
    VOLUME,
    Row,
    Said,
    dies,
    entry,
    get,
    post,
    volume,
)

_OWNER = "os-vol-tenant-attr:tenant_id"
_LOOK = get(THE_VOLUME, 200, IN_USE)
_FREE = get(THE_VOLUME, 200, FREE)
_GONE = get(
    THE_VOLUME, 404, {"itemNotFound": {"code": 404, "message": f"Volume {VOLUME} could not be found."}}
)
_START = [_LOOK, get(THE_SERVER, 404, NOVA_GONE)]

LOOKS = 7
"""Looks that fit into 8 s: at 0, 0.2, 0.6, 1.4, 3, 5 and 7 s."""

_SLOW_DOWN = {"error_code": "APIGW.0308", "error_msg": "Slow down"}
_OVER_LIMIT = {"overLimit": {"code": 413, "message": "Too many.", "retryAfter": "3"}}
_ERRED = {"computeFault": {"code": 500, "message": "The server has either erred or is incapable."}}


def _conflict(server: str = "") -> dict[str, Any]:
    text = f"ConflictNovaUsingAttachment: Detach volume from instance {server} using the Compute API"
    return {"conflictingRequest": {"code": 409, "message": text}}


def _detached(
    name: str, answers: Sequence[Said], *, remaining: int = 0, after: str = "available", **more: Any
) -> Row:
    return Row(
        name,
        [*_START, *answers],
        "detached",
        changed=True,
        remaining=remaining,
        server=(False, None),
        status=("in-use", after),
        **more,
    )


def _stays(name: str, answers: Sequence[Said], outcome: str, code: str, **more: Any) -> Row:
    return Row(
        name,
        [*_START, *answers],
        outcome,
        code,
        remaining=1,
        server=(False, None),
        status=("in-use", "in-use"),
        **more,
    )


STEP_5 = [
    Row(
        "a dry run looks and judges, and sends nothing",
        _START,
        "would_detach",
        target={"dry_run": True},
        remaining=1,
        server=(False, None),
        status=("in-use", "in-use"),
    ),
    Row(
        "a dry run of a server's attachment that the guard allows says so",
        _START,
        "would_detach",
        target={"dry_run": True, "server_id": SERVER, "attachment_id": None},
        remaining=1,
        server=(False, None),
        status=("in-use", "in-use"),
    ),
]

_TIME = [
    _stays(
        "nothing is sent when less time is left than one read may take",
        [],
        "failed",
        "deadline_exceeded",
        retryable=True,
        seconds=9.9,
    ),
    _detached("it is sent when one read's time is left", [post(202), _FREE], seconds=10.0),
]

_ACCEPTED = [
    _detached("an accepted call is seen to have taken effect", [post(202), _FREE]),
    _detached("an effect that takes some seconds is waited for", [post(202), *[_LOOK] * (LOOKS - 1), _FREE]),
    _detached(
        "the others' attachments remain",
        [post(202), get(THE_VOLUME, 200, volume("in-use", entry(OTHER_ATTACHMENT, OTHER_SERVER)))],
        remaining=1,
        after="in-use",
    ),
    _detached(
        "whatever state the volume is in, the attachment is gone",
        [post(202), get(THE_VOLUME, 200, volume("error"))],
        after="error",
    ),
    _detached("a look that fails for a moment is repeated", [post(202), get(THE_VOLUME, 503), _FREE]),
    Row(
        "a volume that is gone afterwards is absent",
        [*_START, post(202), _GONE],
        "volume_absent",
        changed=None,
        server=(False, None),
        status=("in-use", None),
    ),
    *(
        _stays(
            f"a record that is not cleared in 8 s{after} is unconfirmed",
            [post(status), *[_LOOK] * LOOKS],
            "unconfirmed",
            "not_confirmed",
            retryable=True,
            changed=None,
            says="still lists the attachment after 8 s",
        )
        for status, after in ((202, ""), (200, " after a 200"))
    ),
    _stays(
        "a record that is not cleared by the deadline is unconfirmed",
        [post(202), *[_LOOK] * 4],
        "unconfirmed",
        "not_confirmed",
        retryable=True,
        changed=None,
        settings={"DETACH_READ_TIMEOUT": "1"},
        seconds=2.5,
    ),
    _stays(
        "an accepted call whose effect can't be looked at is unconfirmed",
        [post(202), get(THE_VOLUME, 500, _ERRED)],
        "unconfirmed",
        "not_confirmed",
        retryable=True,
        changed=None,
        upstream=(500, "500"),
        says="could not be read afterwards",
    ),
    _stays(
        "a record that a cache kept says nothing of what an accepted call did",
        [post(202), get(THE_VOLUME, 200, FREE, Age="7")],
        "unconfirmed",
        "not_confirmed",
        retryable=True,
        changed=None,
        upstream=(200, None),
        says="could not be read afterwards",
    ),
    Row(
        "an entry without an id afterwards may be the one: unconfirmed",
        [*_START, post(202), *[get(THE_VOLUME, 200, volume("in-use", entry(None)))] * LOOKS],
        "unconfirmed",
        "not_confirmed",
        retryable=True,
        changed=None,
        remaining=1,
        server=(False, None),
        status=("in-use", "in-use"),
    ),
]

_REFUSED = [
    _stays(
        "the cloud's own 409 is use_compute_api",
        [post(409, _conflict(OTHER_SERVER)), _LOOK],
        "refused",
        "use_compute_api",
        upstream=(409, "409"),
        says=OTHER_SERVER,
    ),
    _stays(
        "a 409 in other words is use_compute_api, too",
        [post(409, {"error": {"code": "EVS.2030", "message": "The disk is in use."}}), _LOOK],
        "refused",
        "use_compute_api",
        upstream=(409, "EVS.2030"),
    ),
    Row(
        "a 409 because someone was faster is already_detached",
        [*_START, post(409, _conflict()), _FREE],
        "already_detached",
        remaining=0,
        server=(False, None),
        status=("in-use", "available"),
    ),
    Row(
        "a 404 because the volume went is volume_absent",
        [*_START, post(404, {"itemNotFound": {"code": 404, "message": "Gone."}}), _GONE],
        "volume_absent",
        server=(False, None),
        status=("in-use", None),
    ),
    *(
        _stays(
            f"a POST that is answered {status} ({said}) is {code}, after one look",
            [post(status, body), _LOOK],
            "failed",
            code,
            retryable=retryable,
            upstream=(status, said),
        )
        for status, body, code, retryable, said in (
            (
                400,
                {"badRequest": {"code": 400, "message": "Mismatched volume and attachment"}},
                "upstream_rejected",
                False,
                "400",
            ),
            (
                400,
                {"badRequest": {"code": 400, "message": "Malformed request url"}},
                "configuration",
                False,
                "400",
            ),
            (403, {"forbidden": {"code": 403, "message": "Policy."}}, "permission_denied", False, "403"),
            (404, "<html>", "upstream_rejected", False, None),
            *((status, "", "upstream_rejected", False, None) for status in (405, 406, 410, 411, 415, 422)),
        )
    ),
    *(
        _stays(
            f"a POST that is answered {status} ({said}) may have been acted on: {code}, after one look",
            [post(status, body, **headers), _LOOK],
            "failed",
            code,
            changed=None,
            retryable=retryable,
            retry_after=hint,
            upstream=(status, said),
        )
        for status, body, headers, code, retryable, hint, said in (
            (429, _SLOW_DOWN, {}, "throttled", True, None, "APIGW.0308"),
            (429, "", {"Retry_After": "7"}, "throttled", True, 7.0, None),
            (408, "<html>Time is up</html>", {}, "throttled", True, None, None),
            (425, "", {}, "throttled", True, None, None),
            (413, _OVER_LIMIT, {}, "throttled", True, 3.0, "413"),
            (413, "", {"Retry_After": "4"}, "throttled", True, 4.0, None),
            (413, "", {}, "upstream_rejected", False, None, None),
            (300, "", {}, "upstream_rejected", False, None, None),
            (301, "", {}, "upstream_rejected", False, None, None),
            (407, "", {}, "upstream_rejected", False, None, None),
            (418, "", {}, "upstream_rejected", False, None, None),
            (499, "", {}, "upstream_rejected", False, None, None),
            (451, "", {}, "upstream_rejected", False, None, None),
        )
    ),
    *(
        _detached(
            f"a POST that is answered {status} and took effect all the same is seen to have done so",
            [post(status), _FREE],
        )
        for status in (408, 425, 429, 301, 499)
    ),
    _stays(
        "a refusal that can't be looked at may be another's faster call: it is asked again",
        [post(409, _conflict()), get(THE_VOLUME, 500, _ERRED)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(409, "409"),
        says="Whether somebody else was faster could not be read afterwards (The volume service",
    ),
    _stays(
        "a refusal stands where it can't be looked at another time either",
        [post(409, _conflict(SERVER)), get(THE_VOLUME, 403)],
        "refused",
        "use_compute_api",
        upstream=(409, "409"),
    ),
    *(
        _stays(
            f"a POST whose token is refused by {status} {code} was not acted on",
            [post(status, {"error": {"code": code, "message": "Token."}})] * 2,
            "failed",
            "token_rejected",
            renewals=1,
            upstream=(status, code),
        )
        for status, code in ((401, "401"), (400, "EVS.0002"), (400, "Common.0013"))
    ),
    _detached(
        "a POST whose token is refused is sent again with another",
        [post(401, {"error": {"code": 401, "message": "Token."}}), post(202), _FREE],
        renewals=1,
    ),
]

_UNANSWERED = [
    *(
        _detached(f"a POST that {what} after it took effect is seen to have done so", [first, _FREE])
        for what, first in (
            ("is answered 500", post(500, _ERRED)),
            ("is answered 503", post(503)),
            ("has no answer", dies(THE_ACTION)),
            ("times out", dies(THE_ACTION, requests.ReadTimeout)),
        )
    ),
    *(
        _detached(
            f"a POST that {what} before it took effect is sent once more",
            [first, *[_LOOK] * LOOKS, post(202), _FREE],
        )
        for what, first in (
            ("is answered 500", post(500, _ERRED)),
            ("has no answer", dies(THE_ACTION)),
        )
    ),
    Row(
        "a volume that went while a POST had no answer is absent",
        [*_START, dies(THE_ACTION), _GONE],
        "volume_absent",
        changed=None,
        server=(False, None),
        status=("in-use", None),
    ),
    *(
        Row(
            f"no second POST is sent once the record {what}",
            [*_START, dies(THE_ACTION), *[get(THE_VOLUME, 200, record)] * LOOKS],
            "failed",
            "upstream_unavailable",
            retryable=True,
            changed=None,
            remaining=1,
            server=(False, None),
            status=("in-use", after),
        )
        for what, after, record in (
            ("is in another state", "detaching", volume("detaching", entry())),
            ("is another project's", "in-use", volume("in-use", entry(), **{_OWNER: "0" * 32})),
            ("doesn't say any more whose it is", "in-use", volume("in-use", entry(), **{_OWNER: None})),
            ("has another server in that entry", "in-use", volume("in-use", entry(server=OTHER_SERVER))),
        )
    ),
    _stays(
        "two POSTs without effect are failed with the last fault",
        [dies(THE_ACTION), *[_LOOK] * LOOKS, post(500, _ERRED), *[_LOOK] * LOOKS],
        "failed",
        "upstream_unavailable",
        retryable=True,
        changed=None,
        upstream=(500, "500"),
    ),
    _stays(
        "an unanswered POST whose effect can't be looked at is failed",
        [post(500, _ERRED), get(THE_VOLUME, 500)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        changed=None,
        upstream=(500, "500"),
    ),
    _stays(
        "no second POST is sent when less time is left than one read may take",
        [post(500, _ERRED), *[_LOOK] * LOOKS],
        "failed",
        "upstream_unavailable",
        retryable=True,
        changed=None,
        seconds=12.0,
        upstream=(500, "500"),
    ),
    _detached(
        "a second POST that is refused because the first took effect in between",
        [dies(THE_ACTION), *[_LOOK] * LOOKS, post(409, _conflict()), _FREE],
    ),
    _stays(
        "a second POST that is refused leaves the first one's fault, since it may yet take effect",
        [post(500, _ERRED), *[_LOOK] * LOOKS, post(409, _conflict(SERVER)), _LOOK],
        "failed",
        "upstream_unavailable",
        retryable=True,
        changed=None,
        upstream=(500, "500"),
    ),
    _stays(
        "a second POST that is refused and can't be looked at is asked again",
        [dies(THE_ACTION), *[_LOOK] * LOOKS, post(409, _conflict()), get(THE_VOLUME, 500)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        changed=None,
        upstream=(409, "409"),
    ),
    _stays(
        "a second POST whose token is refused leaves unknown what the first one did",
        [dies(THE_ACTION), *[_LOOK] * LOOKS, post(401)],
        "failed",
        "token_rejected",
        changed=None,
        upstream=(401, None),
    ),
    _stays(
        "a second POST that is accepted but not seen is unconfirmed",
        [dies(THE_ACTION), *[_LOOK] * LOOKS, post(202), *[_LOOK] * LOOKS],
        "unconfirmed",
        "not_confirmed",
        retryable=True,
        changed=None,
    ),
]

DETACH_ROWS = [*STEP_5, *_TIME, *_ACCEPTED, *_REFUSED, *_UNANSWERED]
