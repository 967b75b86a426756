"""What proves a server or a volume absent, and what does not: every kind of 404, with the verdict of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.cloud.absence import Absence, Speech, read_absence
from handler.cloud.messages import Answer, Call
from handler.cloud.servers import ABSENT as SERVER_ABSENT
from handler.cloud.servers import Servers
from handler.cloud.transport import Authenticator, Transport
from handler.cloud.volumes import ABSENT as VOLUME_ABSENT
from handler.invocation import CallContext
from tests.unit.actions.answers import Signer
from tests.unit.contexts import call_context

ID = "4ccff8d2-b7f6-4252-942f-a9bc86113bd4"
OTHER = "1da7dcd9-5059-4aec-a1de-2cf1f82cbe27"
BARE = "4ccff8d2b7f64252942fa9bc86113bd4"
UPPER = "4CCFF8D2-B7F6-4252-942F-A9BC86113BD4"
URN = f"urn:uuid:{ID}"
BRACES = f"{{{ID}}}"

COUNTS, AGAIN, NOTHING = Absence.NAMED, Absence.UNNAMED, None


def _nova(message: Any, code: Any = 404, **more: Any) -> dict[str, Any]:
    return {"itemNotFound": {"code": code, "message": message, **more}}


def _ecs(code: Any, message: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def _wrapped(inner: Any, code: Any = "Ecs.1000") -> dict[str, Any]:
    return _ecs(code, inner if isinstance(inner, str) else json.dumps(inner))


GONE = f"Instance {ID} could not be found."

# status, body, verdict: asked for the server ID
SERVERS: list[tuple[str, int, Any, Absence | None]] = [
    # The service's own word, as recorded of a real Nova
    ("as recorded", 404, _nova(GONE), COUNTS),
    ("without a full stop", 404, _nova(GONE[:-1]), COUNTS),
    ("without a code", 404, {"itemNotFound": {"message": GONE}}, COUNTS),
    ("with its code as a text", 404, _nova(GONE, "404"), COUNTS),
    ("in other known words", 404, _nova(f"Server {ID} does not exist"), COUNTS),
    *(
        (f"in the words {sentence!r}", 404, _nova(sentence.replace("ID", ID)), COUNTS)
        for sentence in (
            "The server with the id ID cannot be found",
            "The instance with uuid ID can not be found",
            "Instance ID was not found",
            "Instance ID is not found",
            "Instance ID did not exist",
            "Instance ID do not exist",
            "Instance ID not exists",
            "No such server: ID",
        )
    ),
    ("with the id in quotes", 404, _nova(f"No server with the id '{ID}' was found"), COUNTS),
    ("in small letters", 404, _nova(f"instance {ID} could not be found."), COUNTS),
    ("over two lines", 404, _nova(f"Instance {ID}\n  could not be found."), COUNTS),
    # The same inside the vendor's 400
    ("in the vendor's 400", 400, _wrapped(_nova(GONE)), COUNTS),
    ("in the vendor's 400 with blanks around", 400, _wrapped(f" {json.dumps(_nova(GONE))} "), COUNTS),
    ("in the vendor's 400 without its code", 400, _wrapped({"itemNotFound": {"message": GONE}}), COUNTS),
    # Words that name no id: only when they are said again
    ("no id", 404, _nova("Instance could not be found."), AGAIN),
    ("no id, no full stop", 404, _nova("Instance could not be found"), AGAIN),
    ("no id in the vendor's 400", 400, _wrapped(_nova("Instance could not be found.")), AGAIN),
    ("Ecs.0114", 404, _ecs("Ecs.0114", "The ECS does not exist."), AGAIN),
    ("Ecs.0614", 404, _ecs("Ecs.0614", "The ECS does not exist."), AGAIN),
    ("Ecs.0114 under 400", 400, _ecs("Ecs.0114", "The ECS does not exist."), AGAIN),
    ("Ecs.0114 without a message", 404, {"error": {"code": "Ecs.0114"}}, AGAIN),
    ("Ecs.0114 that names it", 404, _ecs("Ecs.0114", GONE), AGAIN),
    # About something else
    ("about another server", 404, _nova(f"Instance {OTHER} could not be found."), NOTHING),
    ("about both", 404, _nova(f"Instance {ID} or instance {OTHER} could not be found."), NOTHING),
    ("about another at its end", 404, _nova(f"{GONE}{' ' * 400}{OTHER}"), NOTHING),
    ("about another far behind", 404, _nova(f"{GONE} {'x' * 5000} {OTHER}"), NOTHING),
    ("about a volume at it", 404, _nova(f"Instance {ID} is not attached to volume {OTHER}"), NOTHING),
    ("about a device at it", 404, _nova(f"No volume Block Device Mapping with id {ID}."), NOTHING),
    ("about a volume", 404, _nova(f"Volume {ID} could not be found."), NOTHING),
    ("about a flavor", 404, _nova("Flavor m1.large could not be found."), NOTHING),
    ("about its flavor", 404, _nova(f"Flavor of instance {ID} could not be found."), NOTHING),
    ("about a host", 404, _nova("Compute host compute-7 could not be found."), NOTHING),
    ("about its host", 404, _nova(f"Host of instance {ID} could not be found."), NOTHING),
    ("about a cell", 404, _nova("Cell 5 could not be found."), NOTHING),
    ("about its cell", 404, _nova(f"Instance {ID} has no mapping to a cell."), NOTHING),
    ("about an extension", 404, _nova("Extension os-volumes could not be found."), NOTHING),
    ("about an image", 404, _nova(f"Image {ID} could not be found."), NOTHING),
    ("about a project", 404, _nova(f"Project {BARE} could not be found."), NOTHING),
    ("about an action", 404, _nova("Action req-1 not found"), NOTHING),
    ("about two kinds", 404, _nova(f"Instance or server {ID} could not be found."), NOTHING),
    ("about it twice", 404, _nova(f"Instance {ID} could not be found: {ID}"), NOTHING),
    ("about what stands for it", 404, _nova("Instance \t could not be found."), NOTHING),
    ("about no kind", 404, _nova(f"{ID} could not be found."), NOTHING),
    ("about two kinds in known words", 404, _nova(f"Instance {ID}: server not found."), NOTHING),
    ("about the resource", 404, _nova("The resource could not be found."), NOTHING),
    ("that it is there", 404, _nova(f"Instance {ID} could be found."), NOTHING),
    *(
        (f"that it is there: {sentence!r}", 404, _nova(sentence.replace("ID", ID)), NOTHING)
        for sentence in (
            "No, the server ID does exist",
            "No server with id ID was not found",
            "Instance ID does exist. No such id.",
            "The server with id ID was found, no does not exist",
            "Instance ID is not not found",
            "No instance does exist, ID was found",
            "Instance ID could not be found. Instance ID was found.",
        )
    ),
    # In words that are not known
    ("in German", 404, _nova(f"Instanz {ID} konnte nicht gefunden werden."), NOTHING),
    ("in Chinese", 404, _nova(f"实例 {ID} 不存在"), NOTHING),
    ("in Spanish, no id", 404, _nova("No se encontró la instancia."), NOTHING),
    ("in German, no id", 404, _nova("Die Instanz wurde nicht gefunden."), NOTHING),
    ("nothing but the id", 404, _nova(ID), NOTHING),
    ("nothing but a kind", 404, _nova("Instance"), NOTHING),
    ("an empty message", 404, _nova(""), NOTHING),
    ("no message", 404, {"itemNotFound": {"code": 404}}, NOTHING),
    ("a message that is null", 404, _nova(None), NOTHING),
    ("a message that is a list", 404, _nova([GONE]), NOTHING),
    ("two full stops", 404, _nova("Instance could not be found.."), NOTHING),
    ("no id in other letters", 404, _nova("instance could not be found"), NOTHING),
    ("no id and more", 404, _nova("Instance could not be found. Try again."), NOTHING),
    ("a long text", 404, _nova(f"{GONE} {'word ' * 2000}"), NOTHING),
    ("with a token in it", 404, _nova(f"{GONE} (gAAAAABk-token)"), NOTHING),
    # An id that is not the one, or not as it was asked for
    ("the id cut short", 404, _nova(f"Instance {ID[:-1]} could not be found."), NOTHING),
    ("the id with more behind", 404, _nova(f"Instance {ID}0 could not be found."), NOTHING),
    ("the id twice in one", 404, _nova(f"Instance {ID}{ID} could not be found."), NOTHING),
    ("the id without hyphens", 404, _nova(f"Instance {BARE} could not be found."), NOTHING),
    ("the id in upper case", 404, _nova(f"Instance {UPPER} could not be found."), NOTHING),
    ("the id as a URN", 404, _nova(f"Instance {URN} could not be found."), NOTHING),
    ("the id in braces", 404, _nova(f"Instance {BRACES} could not be found."), NOTHING),
    ("the code names another", 404, _ecs("Ecs.0114", f"The ECS {OTHER} does not exist."), NOTHING),
    # In envelopes that are not known
    ("a code that is not 404", 404, _nova(GONE, 400), NOTHING),
    ("a code that is true", 404, _nova(GONE, code=True), NOTHING),
    ("a code that is 404.0", 404, _nova(GONE, 404.0), NOTHING),
    ("a code that is null", 404, _nova(GONE, None), NOTHING),
    ("a second key inside", 404, _nova(GONE, details="of another"), NOTHING),
    ("a second key beside", 404, {**_nova(GONE), "request_id": "g-1"}, NOTHING),
    ("the key twice", 404, '{"itemNotFound": {}, ' + json.dumps(_nova(GONE))[1:], NOTHING),
    ("in another key", 404, {"error": _nova(GONE)}, NOTHING),
    ("in a stranger's key", 404, {"fault": {"code": 404, "message": GONE}}, NOTHING),
    ("in a list", 404, [_nova(GONE)], NOTHING),
    ("as a text", 404, json.dumps(json.dumps(_nova(GONE))), NOTHING),
    ("with more behind it", 404, json.dumps(_nova(GONE)) + " {}", NOTHING),
    ("in a web page", 404, f"<html><h1>404</h1>{GONE}</html>", NOTHING),
    ("as plain text", 404, GONE, NOTHING),
    ("nothing", 404, "", NOTHING),
    ("half of it", 404, json.dumps(_nova(GONE))[:-2], NOTHING),
    ("nested without end", 404, '{"itemNotFound":' * 50_000, NOTHING),
    ("no UTF-8", 404, b'{"itemNotFound": {"message": "\xff"}}', NOTHING),
    (
        "Nova's router",
        404,
        {"message": "Gone.<br />", "code": "404 Not Found", "title": "Not Found"},
        NOTHING,
    ),
    ("a gateway", 404, {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}, NOTHING),
    ("a gateway with the code", 404, {"error_code": "Ecs.0114", "error_msg": "No."}, NOTHING),
    ("the code elsewhere", 404, {"itemNotFound": {"code": "Ecs.0114", "message": "No."}}, NOTHING),
    ("the code of another service", 404, _ecs("EVS.5404", "No."), NOTHING),
    ("the code of another fault", 404, _ecs("Ecs.0005", GONE), NOTHING),
    ("the code with details", 404, _ecs("Ecs.0114", "No.", details=[]), NOTHING),
    ("the code in other letters", 404, _ecs("ECS.0114", "No."), NOTHING),
    ("the code in a list", 404, _ecs(["Ecs.0114"], "No."), NOTHING),
    ("the code and a list", 404, _ecs("Ecs.0114", ["No."]), NOTHING),
    ("no code", 404, _ecs(None, GONE), NOTHING),
    # Under statuses that are none of absence, or not of this envelope
    *(
        (f"its word under {status}", status, _nova(GONE), NOTHING)
        for status in (200, 202, 400, 403, 410, 500)
    ),
    *((f"its code under {status}", status, _ecs("Ecs.0114", "No."), NOTHING) for status in (200, 403, 503)),
    ("wrapped under 404", 404, _wrapped(_nova(GONE)), NOTHING),
    ("wrapped under 500", 500, _wrapped(_nova(GONE)), NOTHING),
    ("wrapped twice", 400, _wrapped(_wrapped(_nova(GONE))), NOTHING),
    ("wrapped by another code", 400, _wrapped(_nova(GONE), "Ecs.1001"), NOTHING),
    ("wrapped with more before it", 400, _wrapped(f"Nova: {json.dumps(_nova(GONE))}"), NOTHING),
    ("wrapped with more behind it", 400, _wrapped(f"{json.dumps(_nova(GONE))} of req-1"), NOTHING),
    ("wrapped with a second key", 400, _wrapped({**_nova(GONE), "code": 404}), NOTHING),
    ("wrapped, another fault", 400, _wrapped({"badRequest": {"code": 404, "message": GONE}}), NOTHING),
    ("wrapped, of another server", 400, _wrapped(_nova(f"Instance {OTHER} could not be found.")), NOTHING),
    ("wrapped, the vendor's code", 400, _wrapped(_ecs("Ecs.0114", "No.")), NOTHING),
    ("wrapped, a list", 400, _wrapped([_nova(GONE)]), NOTHING),
    ("wrapped, as it is", 400, _ecs("Ecs.1000", _nova(GONE)), NOTHING),
    ("wrapped, no JSON", 400, _wrapped("{itemNotFound}"), NOTHING),
]

LOST = f"Volume {ID} could not be found."

# The same, asked for the volume ID
VOLUMES: list[tuple[str, int, Any, Absence | None]] = [
    ("as recorded", 404, _nova(LOST), COUNTS),
    ("as a disk", 404, _nova(f"The disk {ID} does not exist."), COUNTS),
    ("no id", 404, _nova("Volume could not be found."), AGAIN),
    ("EVS.5404", 404, _ecs("EVS.5404", "resource not found"), AGAIN),
    ("EVS.5404 that names it", 404, _ecs("EVS.5404", LOST), AGAIN),
    ("EVS.5404 about another", 404, _ecs("EVS.5404", f"Volume {OTHER} could not be found."), NOTHING),
    ("another volume", 404, _nova(f"Volume {OTHER} could not be found."), NOTHING),
    ("a marker", 404, _nova(f"Volume marker {ID} could not be found."), NOTHING),
    ("a volume type", 404, _nova(f"Volume type {ID} could not be found."), NOTHING),
    ("a snapshot", 404, _nova(f"Snapshot {ID} could not be found."), NOTHING),
    ("an attachment", 404, _nova(f"Volume attachment could not be found with filter: {ID}"), NOTHING),
    ("a server", 404, _nova(GONE), NOTHING),
    ("a server's code", 404, _ecs("Ecs.0114", "No."), NOTHING),
    ("a server's sentence", 404, _nova("Instance could not be found."), NOTHING),
]

_BOTH = [
    *(pytest.param(SERVER_ABSENT, *row, id=f"server: {row[0]}") for row in SERVERS),
    *(pytest.param(VOLUME_ABSENT, *row, id=f"volume: {row[0]}") for row in VOLUMES),
]


def _answer(status: int, body: Any, **headers: str) -> Answer:
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return Answer(status, headers, text if isinstance(text, bytes) else text.encode(), None)


@pytest.mark.parametrize(("speech", "name", "status", "body", "verdict"), _BOTH)
def test_absence(speech: Speech, name: str, status: int, body: Any, verdict: Absence | None) -> None:
    assert read_absence(_answer(status, body), speech, of=ID) is verdict, name


@pytest.mark.parametrize(("age", "verdict"), [("0", COUNTS), (" 0 ", COUNTS), ("1", NOTHING), ("", NOTHING)])
def test_an_absence_that_was_kept_by_a_cache_is_not_believed(age: str, verdict: Absence | None) -> None:
    assert read_absence(_answer(404, _nova(GONE), Age=age), SERVER_ABSENT, of=ID) is verdict


class _Service(Transport):
    """Says of everything that there is none, without an id, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(connect_timeout=1, read_timeout=1)
        self.asked: list[Call] = []

    def send(self, call: Call, context: CallContext, auth: Authenticator | None = None) -> Answer:
        assert context.deadline.remaining() > 0
        assert auth is not None
        self.asked.append(call)
        return _answer(404, _nova("Instance could not be found."))


def test_the_second_look_is_on_a_connection_that_is_made_for_it() -> None:
    service = _Service()

    found = Servers("compute", service, Signer()).find(ID, call_context())

    assert found is AGAIN
    assert [call.fresh for call in service.asked] == [False, True]
    assert len({call.url for call in service.asked}) == 1


def test_the_table_has_sixty_rows_of_different_names() -> None:
    for table in (SERVERS, VOLUMES):
        assert len({row[0] for row in table}) == len(table)
    assert len(SERVERS) > 60


@pytest.mark.parametrize("spelling", [ID, BARE, UPPER, URN, BRACES, BARE.upper()])
def test_an_absence_is_of_the_spelling_that_was_asked_for(spelling: str) -> None:
    """Nova repeats what it was asked for, and knows a server by one spelling alone."""
    for named in (ID, BARE, UPPER, URN, BRACES, BARE.upper()):
        said = _answer(404, _nova(f"Instance {named} could not be found."))
        assert (read_absence(said, SERVER_ABSENT, of=spelling) is COUNTS) is (named == spelling)
