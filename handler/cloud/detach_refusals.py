"""How the compute service refuses to detach a live server's disk, and what each refusal means.

Recorded from a real Nova (its words), and by the vendor's table of error codes (ECS, whose HTTP status is
nearly always 400). An answer of ECS that wraps Nova's is unwrapped. What is not on these lists has no meaning
here: `handler.cloud.faults.failure` says what it is then.
"""

from __future__ import annotations

from enum import Enum

from handler.cloud.faults import Fault, passes, read_fault
from handler.cloud.messages import Answer


class Refusal(Enum):
    """What the answer to the call for a detach says, where that was not accepted."""

    NOT_ATTACHED = "the server does not list the disk"
    SERVER_GONE = "there is no such server"
    NOT_IN_USE = "the record is not in-use"
    ROOT = "a root disk"
    LOCKED = "the server is locked"
    PASSING = "a task or another command is under way"
    STATE = "the server's state does not allow it"
    HOST_DOWN = "the server's host does not answer"
    UNKNOWN = "it may have been acted on all the same"
    OTHER = "anything else that was looked at and not carried out"


_NOVA = (
    (404, "is not attached to volume", Refusal.NOT_ATTACHED),
    (404, "instance ", Refusal.SERVER_GONE),
    (400, "unable to detach volume", Refusal.NOT_IN_USE),
    (400, "cannot detach a root device volume", Refusal.ROOT),
    (409, "is locked", Refusal.LOCKED),
    (409, "in task_state", Refusal.PASSING),
    (409, "in vm_state building", Refusal.PASSING),
    (409, "in vm_state", Refusal.STATE),
    (409, "service is unavailable", Refusal.HOST_DOWN),
)
"""Statuses and words of Nova's, in lower case; the first that fits holds."""

_ECS = {
    "Ecs.0111": Refusal.NOT_ATTACHED,
    "Ecs.0114": Refusal.SERVER_GONE,
    "Ecs.0614": Refusal.SERVER_GONE,
    "Ecs.0100": Refusal.STATE,
    "Ecs.0101": Refusal.NOT_IN_USE,
    "Ecs.0102": Refusal.NOT_IN_USE,
    "Ecs.0073": Refusal.PASSING,
    "Ecs.0603": Refusal.PASSING,
    "Ecs.0605": Refusal.LOCKED,
    "Ecs.1001": Refusal.UNKNOWN,
    "Ecs.1002": Refusal.UNKNOWN,
    "Ecs.1300": Refusal.UNKNOWN,
}


def read_refusal(answer: Answer) -> Refusal:
    """What an answer other than 2xx to the call for a detach means."""
    fault = read_fault(answer)
    known = _ECS.get(fault.code or "")
    if known is not None:
        return known
    status = _inner_status(fault) if fault.code == "Ecs.1000" else answer.status
    if status is None or status >= 500 or (passes(answer) and status == answer.status):
        return Refusal.UNKNOWN
    words = (fault.innermost.message or "").lower()
    for wanted, part, refusal in _NOVA:
        if status == wanted and part in words and (refusal is not Refusal.SERVER_GONE or "not be f" in words):
            return refusal
    return Refusal.OTHER


def _inner_status(fault: Fault) -> int | None:
    """The status of Nova's answer inside of the vendor's; None where it can't be told."""
    code = fault.inner.innermost.code if fault.inner else None
    return int(code) if code and code.isdigit() and len(code) == 3 else None
