"""What comes in: four forms, told apart by their keys, and every way in which it can be wrong."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import InvalidRequest
from handler.model.request import RULES, Batch, GoneServer, Ignored, Sweep, SweepBounds, Target
from handler.triggers.parse import read_each, read_work
from tests.unit.deployment import EVENTS

V = "543fdc50-6daa-48e5-808c-c4189495d318"
A = "5ecf20fc-c3e3-40ae-b32a-b41210e9f608"
S = "1da7dcd9-5059-4aec-a1de-2cf1f82cbe27"
TRACE = {
    "service_type": "ECS",
    "trace_name": "deleteServer",
    "trace_rating": "normal",
    "resource_id": S,
    "request": "",
}


def broken(content: object, max_targets: int = 3) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        read_work(content, max_targets=max_targets)
    details = caught.value.details
    assert details
    assert caught.value.status == 400
    assert all(detail.rule in RULES for detail in details)
    return [(detail.pointer, detail.rule) for detail in details]


@pytest.mark.parametrize(
    ("content", "work"),
    [
        ({"volume_id": V}, Target(volume_id=V)),
        (
            {"volume_id": V, "attachment_id": A, "server_id": S, "dry_run": True},
            Target(volume_id=V, attachment_id=A, server_id=S, dry_run=True),
        ),
        ({"volume_id": V, "attachment_id": None}, Target(volume_id=V)),
        (
            {"targets": [{"volume_id": V}, {"volume_id": V, "dry_run": True}], "dry_run": False},
            Batch(targets=[Target(volume_id=V), Target(volume_id=V, dry_run=True)]),
        ),
        ({"server_id": S, "dry_run": True}, GoneServer(server_id=S, dry_run=True)),
        ({"sweep": {}}, Sweep(sweep=SweepBounds())),
        (
            {
                "sweep": {
                    "dry_run": True,
                    "limit": 3,
                    "min_age_seconds": 0,
                    "server_ids": [S],
                    "volume_ids": [V],
                    "metadata": {"owner": "größe"},
                }
            },
            Sweep(
                sweep=SweepBounds(
                    dry_run=True,
                    limit=3,
                    min_age_seconds=0,
                    server_ids=[S],
                    volume_ids=[V],
                    metadata={"owner": "größe"},
                )
            ),
        ),
    ],
)
def test_the_four_forms_are_told_apart_by_their_keys(content: object, work: object) -> None:
    assert read_work(content, max_targets=3) == work
    assert read_work(json.dumps(content), max_targets=3) == work
    assert read_work(json.dumps(content, ensure_ascii=False).encode(), max_targets=3) == work


@pytest.mark.parametrize("spelling", [V.upper(), V.replace("-", ""), f"{{{V}}}", f"urn:uuid:{V}"])
def test_a_uuid_may_be_spelt_in_any_way_and_is_kept_in_its_canonical_one(spelling: str) -> None:
    assert read_work({"volume_id": spelling}, max_targets=1) == Target(volume_id=V)


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_trace_of_a_deleted_server_is_work(wrapped: bool) -> None:
    assert read_work({"cts": TRACE} if wrapped else TRACE, max_targets=1) == GoneServer(server_id=S)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {"trace_status": "normal"},
        {"trace_rating": "normal", "trace_status": "normal"},
        {"trace_rating": None, "trace_status": "normal"},
        {"trace_rating": "normal", "trace_status": ""},
    ],
)
def test_success_is_said_in_either_of_two_words(said: dict[str, object], wrapped: bool) -> None:
    """The vendor's samples of FunctionGraph's CTS events have the one, the other, or both."""
    trace = {**{key: value for key, value in TRACE.items() if key != "trace_rating"}, **said}
    assert read_work({"cts": trace} if wrapped else trace, max_targets=1) == GoneServer(server_id=S)


@pytest.mark.parametrize(
    "other",
    [
        {"trace_rating": "incident", "trace_status": "warning"},
        {"trace_rating": ["normal"], "trace_status": {"normal": "normal"}},
        {"service_type": "EVS"},
        {"service_type": 1},
        {"trace_name": "stopServer"},
        {"trace_rating": "warning"},
        {"trace_rating": None},
        {"resource_id": "i-42"},
        {"resource_id": None},
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_other_trace_is_ignored(other: dict[str, object], wrapped: bool) -> None:
    trace = {**TRACE, **other}
    assert isinstance(read_work({"cts": trace} if wrapped else trace, max_targets=1), Ignored)


HUGE = "9" * 5000
DEEP = 60_000


@pytest.mark.parametrize(
    ("content", "places"),
    [
        # the text
        (b"", [("", "required")]),
        (" \n\t", [("", "required")]),
        ("{", [("", "json")]),
        ('{"sweep": {}} x', [("", "json")]),
        ("{'sweep': {}}", [("", "json")]),
        (b'\xef\xbb\xbf{"sweep": {}}', [("", "utf8")]),
        (b'{"sweep": "\xff"}', [("", "utf8")]),
        ('{"sweep": {}}'.encode("utf-16"), [("", "utf8")]),
        (b'{"sweep": "\xed\xa0\x80"}', [("", "utf8")]),
        ("[" * DEEP, [("", "too_deep")]),
        ("[" * DEEP + "]" * DEEP, [("", "too_deep")]),
        ('{"sweep":' * DEEP, [("", "too_deep")]),
        ('{"sweep":' * 20 + "1" + "}" * 20, [("/sweep" * 17, "too_deep")]),
        # parts of it that JSON would let pass
        ('{"volume_id": NaN}', [("/volume_id", "json")]),
        ('{"sweep": {"limit": -Infinity}}', [("/sweep/limit", "json")]),
        ('{"sweep": {"limit": 1e999}}', [("/sweep/limit", "range")]),
        (f'{{"sweep": {{"limit": {HUGE}}}}}', [("/sweep/limit", "range")]),
        (f'{{"volume_id": "{V}", "volume_id": "{V}"}}', [("", "duplicate_key")]),
        (f'{{"targets": [{{"volume_id": "{V}", "volume_id": "{A}"}}]}}', [("/targets/0", "duplicate_key")]),
        ('{"sweep": {"metadata": {"k": "a", "k": "b"}}}', [("/sweep/metadata", "duplicate_key")]),
        ('{"sweep": {"metadata": {"k": "\\ud800"}}}', [("/sweep/metadata", "utf8")]),
        ('{"sweep": {"metadata": {"\\udc00": "v"}}}', [("/sweep/metadata", "utf8")]),
        ('{"sweep": {"\\udc00": 1}}', [("/sweep", "utf8")]),
        ('{"mine": {"mine": [NaN, {"volume_id": NaN}]}}', [("", "json")]),
        # the form
        ("[]", [("", "type")]),
        ('"text"', [("", "type")]),
        ("null", [("", "type")]),
        ("{}", [("", "form")]),
        ({"dry_run": True}, [("", "form")]),
        ({"targets": [], "sweep": {}}, [("", "one_form")]),
        ({"volume_id": V, "targets": []}, [("", "one_form")]),
        ({"server_id": S, "sweep": {}}, [("", "one_form")]),
        ({"cts": TRACE, "volume_id": V}, [("", "one_form")]),
        ({"cts": TRACE, "live": True, "recover": True}, [("/live", "misplaced"), ("/recover", "misplaced")]),
        ({"cts": TRACE, "x": 1}, [("", "unknown_key")]),
        ({**TRACE, "metadata": {}}, [("/metadata", "misplaced")]),
        ({"cts": 5}, [("", "envelope")]),
        ({"cts": {}}, [("", "envelope")]),
        # its fields
        ({"attachment_id": A}, [("/volume_id", "required")]),
        ({"server_id": S, "attachment_id": A}, [("/volume_id", "required")]),
        ({"volume_id": "vol-42"}, [("/volume_id", "uuid")]),
        ({"volume_id": 5}, [("/volume_id", "uuid")]),
        ({"volume_id": None}, [("/volume_id", "uuid")]),
        ({"volume_id": V, "attachment_id": V.upper()}, [("/attachment_id", "attachment_is_volume")]),
        ({"volume_id": V, "live": True}, [("/live", "live_ids")]),
        ({"volume_id": V, "attachment_id": A, "live": True}, [("/live", "live_ids")]),
        ({"volume_id": V, "server_id": S, "live": True}, [("/live", "live_ids")]),
        ({"volume_id": V, "not_after": "2030-01-01T00:00:00Z"}, [("/not_after", "without_live")]),
        ({"volume_id": V, "not_after": "2030-01-01T00:00:00"}, [("/not_after", "moment")]),
        ({"volume_id": V, "not_after": "tomorrow"}, [("/not_after", "moment")]),
        ({"volume_id": V, "not_after": 1}, [("/not_after", "moment")]),
        ({"server_id": S, "live": True}, [("", "unknown_key")]),
        ({"server_id": S, "recover": True}, [("", "unknown_key")]),
        ({"sweep": {"live": True}}, [("/sweep", "unknown_key")]),
        ({"targets": [{"volume_id": V, "live": True}]}, [("/targets/0/live", "live_ids")]),
        ({"volume_id": V, "dry_run": 1}, [("/dry_run", "type")]),
        ({"volume_id": V, "dry_run": "true"}, [("/dry_run", "type")]),
        ({"volume_id": V, "dry_run": None}, [("/dry_run", "type")]),
        ({"volume_id": V, "mine": 1, "yours": 2}, [("", "unknown_key")]),
        ({"targets": []}, [("/targets", "too_few")]),
        ({"targets": [{"volume_id": V}] * 4}, [("/targets", "too_many")]),
        ({"targets": {"volume_id": V}}, [("/targets", "type")]),
        ({"targets": [{"volume_id": V}, 5]}, [("/targets/1", "type")]),
        (
            {
                "targets": [
                    {"volume_id": V},
                    {"volume_id": "x", "mine": 1},
                    {"volume_id": V, "attachment_id": V},
                ]
            },
            [
                ("/targets/1/volume_id", "uuid"),
                ("/targets/1", "unknown_key"),
                ("/targets/2/attachment_id", "attachment_is_volume"),
            ],
        ),
        ({"sweep": None}, [("/sweep", "type")]),
        ({"sweep": {"limit": True}}, [("/sweep/limit", "type")]),
        ({"sweep": {"limit": 1.0}}, [("/sweep/limit", "type")]),
        ({"sweep": {"limit": -1}}, [("/sweep/limit", "range")]),
        ({"sweep": {"min_age_seconds": 10**12}}, [("/sweep/min_age_seconds", "range")]),
        ({"sweep": {"server_ids": [S, "x"]}}, [("/sweep/server_ids/1", "uuid")]),
        ({"sweep": {"metadata": {"k": 1, "l": {"m": 2}}}}, [("/sweep/metadata", "type")]),
        ({"sweep": {"mine": 1}}, [("/sweep", "unknown_key")]),
    ],
)
def test_what_is_wrong_is_named_by_place_and_rule(content: object, places: list[tuple[str, str]]) -> None:
    assert broken(content) == places


def test_a_tree_that_a_host_has_parsed_is_looked_at_as_closely() -> None:
    assert broken({"sweep": {"limit": float("nan")}}) == [("/sweep/limit", "range")]
    assert broken({"sweep": {"metadata": {"k": "\ud800"}}}) == [("/sweep/metadata", "utf8")]


def test_as_many_targets_as_are_allowed_are_taken() -> None:
    batch = read_work({"targets": [{"volume_id": V}] * 3}, max_targets=3)
    assert isinstance(batch, Batch)
    assert len(batch.targets) == 3


def test_a_flood_of_faults_is_cut_short() -> None:
    places = broken({"sweep": {"server_ids": ["x"] * 5000}})
    assert places == [(f"/sweep/server_ids/{number}", "uuid") for number in range(100)]


def test_of_several_the_first_that_is_wrong_is_counted() -> None:
    with pytest.raises(InvalidRequest, match=r"^Event 2 of 3: ") as caught:
        read_each([{"volume_id": V}, {"volume_id": "x"}, {}], max_targets=3)
    assert [(part.pointer, part.rule) for part in caught.value.details or ()] == [("/volume_id", "uuid")]


def test_more_events_at_once_than_targets_are_allowed_is_too_many() -> None:
    assert len(read_each([{"volume_id": V}] * 3, max_targets=3)) == 3
    with pytest.raises(InvalidRequest) as caught:
        read_each([{"volume_id": V}] * 4, max_targets=3)
    assert [(part.pointer, part.rule) for part in caught.value.details or ()] == [("", "too_many")]


def test_the_targets_of_all_events_together_are_bounded() -> None:
    batches = [{"targets": [{"volume_id": V}] * 2}] * 2
    assert len(read_each(batches, max_targets=4)) == 2
    with pytest.raises(InvalidRequest) as caught:
        read_each(batches, max_targets=3)
    assert [(part.pointer, part.rule) for part in caught.value.details or ()] == [("", "too_many")]


SECRET = "hunter2-in-the-wrong-place"


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        f'{{"{SECRET}": 1}}',
        f'{{"volume_id": "{SECRET}"}}',
        f'{{"volume_id": "{V}", "{SECRET}": {{"volume_id": NaN}}}}',
        f'{{"sweep": {{"metadata": {{"{SECRET}": 1}}}}}}',
        f'{{"sweep": {{"metadata": {{"{SECRET}": "\\ud800"}}}}}}',
        f'{{"sweep": {{"{SECRET}": 1, "{SECRET}": 2}}}}',
        f'{{"sweep": {{"limit": "{SECRET}"}}}}',
    ],
)
def test_nothing_that_was_sent_is_echoed(content: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_work(content, max_targets=1)
    failure = caught.value
    assert SECRET not in f"{failure} {failure!r} {failure.message} {failure.details} {failure.__dict__}"
    assert failure.__cause__ is None
    assert failure.__context__ is None or failure.__suppress_context__


def test_every_rule_can_be_reached_and_is_reached_above() -> None:
    reached = {
        rule
        for mark in (test_what_is_wrong_is_named_by_place_and_rule,)
        for parameters in mark.pytestmark[0].args[1]  # type: ignore[attr-defined]
        for _, rule in parameters[1]
    }
    assert reached | {"base64", "scope"} == set(RULES)  # that one hangs on the deployment


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([V, A, S, str(uuid.UUID(int=0))]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "volume_id",
                    "attachment_id",
                    "server_id",
                    "targets",
                    "sweep",
                    "dry_run",
                    "limit",
                    "metadata",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def opened(content: object) -> object:
    try:
        return read_work(content, max_targets=2)
    except InvalidRequest as failure:
        return failure


def is_normal(found: object) -> bool:
    if isinstance(found, InvalidRequest):
        return bool(found.details) and all(detail.rule in RULES for detail in found.details or ())
    return isinstance(found, (Target, Batch, GoneServer, Sweep, Ignored))


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_work_or_an_invalid_request(tree: object) -> None:
    assert is_normal(opened(tree))
    assert is_normal(opened(json.dumps(tree)))
    assert is_normal(opened(json.dumps(tree, ensure_ascii=True).encode()))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_work_or_an_invalid_request(content: bytes | str) -> None:
    assert is_normal(opened(content))


def test_the_sample_that_is_invalid_says_all_that_is_wrong_at_once() -> None:
    assert broken((EVENTS / "http-invalid.json").read_bytes()) == [
        ("/targets/1/volume_id", "uuid"),
        ("/targets/1", "unknown_key"),
    ]
