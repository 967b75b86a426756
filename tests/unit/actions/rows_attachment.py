"""The table's rows for steps 2 and 3: the attachment, and the volume's state."""

from __future__ import annotations

from handler.actions.guards import PASSING_STATES
from tests.unit.actions.answers import (
    ATTACHMENT,
    FREE,
    IN_USE,
    NOVA_GONE,
    OTHER_ATTACHMENT,
    OTHER_SERVER,
    SERVER,
    THE_SERVER,
    THE_VOLUME,
    VOLUME,
    Row,
    entry,
    get,
    post,
    volume,
)

STEP_2 = [
    Row(
        "an attachment that is not there at an available volume is already detached",
        [get(THE_VOLUME, 200, FREE)],
        "already_detached",
        remaining=0,
        status=("available", "available"),
    ),
    Row(
        "an attachment that is not there at a volume in use by others is already detached",
        [get(THE_VOLUME, 200, volume("in-use", entry(OTHER_ATTACHMENT, OTHER_SERVER)))],
        "already_detached",
        remaining=1,
        status=("in-use", "in-use"),
    ),
    Row(
        "no id given at an available volume is already detached",
        [get(THE_VOLUME, 200, FREE)],
        "already_detached",
        target={"attachment_id": None},
        remaining=0,
        status=("available", "available"),
    ),
    *(
        Row(
            f"an attachment that is not there at a volume that is {status} is refused",
            [get(THE_VOLUME, 200, volume(status, *entries))],
            "refused",
            "volume_state",
            retryable=passes,
            remaining=len(entries),
            status=(status, status),
            says=repr(status),
        )
        for status, entries, passes in (
            ("in-use", [], False),
            ("error_detaching", [], False),
            ("detaching", [], True),
            ("attaching", [], True),
            ("reserved", [entry(OTHER_ATTACHMENT)], True),
        )
    ),
    Row(
        "several attachments and no id given is refused",
        [get(THE_VOLUME, 200, volume("in-use", entry(), entry(OTHER_ATTACHMENT, OTHER_SERVER)))],
        "refused",
        "attachment_required",
        target={"attachment_id": None},
        remaining=2,
        status=("in-use", "in-use"),
        says="2 attachments",
    ),
    Row(
        "an attachment of another server than the guard is refused",
        [get(THE_VOLUME, 200, IN_USE)],
        "refused",
        "server_mismatch",
        target={"server_id": OTHER_SERVER},
        remaining=1,
        status=("in-use", "in-use"),
    ),
    Row(
        "an attachment of no server doesn't pass the guard",
        [get(THE_VOLUME, 200, volume("in-use", entry(server=None)))],
        "refused",
        "server_mismatch",
        target={"server_id": SERVER},
        remaining=1,
        status=("in-use", "in-use"),
    ),
    *(
        Row(
            f"an entry {what} is refused, {asked}",
            [get(THE_VOLUME, 200, volume("in-use", entry(), broken))],
            "refused",
            "attachment_unknown",
            target=target,
            remaining=2,
            status=("in-use", "in-use"),
        )
        for what, broken in (
            ("with attachment_id null", entry(None)),
            ("without attachment_id", {"id": VOLUME, "server_id": OTHER_SERVER}),
            ("with an attachment_id that is no UUID", entry("attached")),
            ("with a number for attachment_id", entry(7)),
        )
        for asked, target in (("whichever is meant", {}), ("no id given", {"attachment_id": None}))
    ),
    Row(
        "an attachment_id that is listed twice is refused",
        [get(THE_VOLUME, 200, volume("in-use", entry(), entry(server=OTHER_SERVER)))],
        "refused",
        "attachment_unknown",
        remaining=2,
        status=("in-use", "in-use"),
        says="more than once",
    ),
    Row(
        "the only attachment is found without its id, which is sent all the same",
        [
            get(THE_VOLUME, 200, IN_USE),
            get(THE_SERVER, 404, NOVA_GONE),
            post(202),
            get(THE_VOLUME, 200, FREE),
        ],
        "detached",
        changed=True,
        target={"attachment_id": None},
        remaining=0,
        server=(False, None),
        status=("in-use", "available"),
    ),
    Row(
        "an id is sent in the letters in which the cloud lists it",
        [
            get(THE_VOLUME, 200, volume("in-use", entry(ATTACHMENT.upper(), SERVER.upper()))),
            get(THE_SERVER, 404, NOVA_GONE),
            get(
                THE_SERVER.replace(SERVER, SERVER.upper()),
                404,
                {"itemNotFound": {"message": f"Instance {SERVER.upper()} could not be found."}},
            ),
            post(202),
            get(THE_VOLUME, 200, FREE),
        ],
        "detached",
        changed=True,
        listed=ATTACHMENT.upper(),
        target={"server_id": SERVER},
        remaining=0,
        server=(False, None),
        status=("in-use", "available"),
    ),
]


def _in_state(status: str, name: str, *, passes: bool, **more: object) -> Row:
    return Row(
        f"a volume that is {status} {name}",
        [get(THE_VOLUME, 200, volume(status, entry(), **more))],
        "refused",
        "volume_state",
        retryable=passes,
        remaining=1,
        status=(status, status),
        says=f"{status!r}",
    )


STEP_3 = [
    *(_in_state(status, "is refused until that passes", passes=True) for status in sorted(PASSING_STATES)),
    *(
        _in_state(status, "since over an hour is stuck", passes=False, updated_at="2027-01-15T06:59:59")
        for status in sorted(PASSING_STATES)
    ),
    _in_state(
        "detaching", "for an hour sharp still may pass", passes=True, updated_at="2027-01-15T07:00:00Z"
    ),
    _in_state("detaching", "since nobody knows when may pass", passes=True, updated_at=None),
    _in_state("detaching", "since no moment at all may pass", passes=True, updated_at="yesterday"),
    _in_state(
        "detaching", "in another zone is judged there", passes=False, updated_at="2027-01-15T08:30:00+02:00"
    ),
    *(
        _in_state(status, "is refused, and stays so", passes=False)
        for status in (
            "available",
            "error",
            "error_detaching",
            "error_extending",
            "awaiting-transfer",
            "deleting",
            "IN-USE",
            "in_use",
            "something-new",
        )
    ),
]

ATTACHMENT_ROWS = [*STEP_2, *STEP_3]
