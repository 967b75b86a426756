"""What a volume's record is read as, and what makes it none."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from handler.cloud.messages import Answer
from handler.cloud.volumes import Attachment, Volume, Volumes, read_volume
from handler.errors import ErrorCode, Failure
from tests.unit.actions.answers import (
    ATTACHMENT,
    PROJECT,
    SERVER,
    THE_VOLUME,
    VOLUME,
    Clock,
    Signer,
    entry,
    services_of,
    volume,
)


def _read(*attachments: Any, **more: Any) -> Volume:
    return read_volume(volume("in-use", *attachments, **more)["volume"])


def _volumes(*, delegated: bool = False) -> Volumes:
    signer = Signer()
    signer.delegated = delegated
    return services_of(Clock(), signer).volumes


@pytest.mark.parametrize("subject", ["Volume", "Disk"])
def test_it_is_absent_in_the_service_s_own_words(subject: str) -> None:
    services = services_of(Clock(), Signer())
    said = {"itemNotFound": {"code": 404, "message": f"{subject} {VOLUME} could not be found."}}
    with responses.RequestsMock() as cloud:
        cloud.get(THE_VOLUME, json=said, status=404)

        assert services.volumes.get(VOLUME, services.context) is None


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("id", None),
        ("id", "disk-1"),
        ("id", 7),
        ("status", None),
        ("status", ""),
        ("attachments", None),
        ("attachments", ""),
        ("attachments", {}),
        ("attachments", [None]),
        ("os-vol-tenant-attr:tenant_id", 7),
        ("os-vol-tenant-attr:tenant_id", ""),
    ],
)
def test_what_lacks_what_it_is_judged_by_is_no_volume(name: str, odd: object) -> None:
    with pytest.raises(ValueError, match=r"^no (volume|attachment|project)$"):
        _read(**{name: odd})


@pytest.mark.parametrize("record", [None, 7, "volume", ["id"]])
def test_what_is_no_object_is_no_volume(record: object) -> None:
    with pytest.raises(ValueError, match=r"^no volume$"):
        read_volume(record)


@pytest.mark.parametrize(
    ("field", "name", "said", "read"),
    [
        ("id", "id", f"urn:uuid:{VOLUME.upper()}", VOLUME),
        ("project_id", "os-vol-tenant-attr:tenant_id", PROJECT, PROJECT),
        ("project_id", "os-vol-tenant-attr:tenant_id", None, None),
        ("size", "size", 40, 40),
        ("size", "size", "40", None),
        ("metadata", "metadata", {"a": "b"}, {"a": "b"}),
        ("metadata", "metadata", ["a"], {}),
        ("metadata", "metadata", None, {}),
        ("multiattach", "multiattach", True, True),
        ("multiattach", "multiattach", "true", None),
        ("name", "name", "data", "data"),
        ("name", "name", 7, None),
        ("updated_at", "updated_at", 7, None),
    ],
)
def test_what_else_it_says_is_read_where_it_is_what_it_should_be(
    field: str, name: str, said: object, read: object
) -> None:
    assert getattr(_read(**{name: said}), field) == read


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({}, Attachment(ATTACHMENT, ATTACHMENT, SERVER, None, None, SERVER)),
        (
            {"attachment_id": ATTACHMENT.upper(), "server_id": SERVER.upper()},
            Attachment(ATTACHMENT, ATTACHMENT.upper(), SERVER, None, None, SERVER.upper()),
        ),
        ({"attachment_id": "entry-1"}, Attachment(None, None, SERVER, None, None, SERVER)),
        ({"server_id": "host-1"}, Attachment(ATTACHMENT, ATTACHMENT, None)),
        ({"server_id": None}, Attachment(ATTACHMENT, ATTACHMENT, None)),
        ({"device": 7, "attached_at": 7}, Attachment(ATTACHMENT, ATTACHMENT, SERVER, None, None, SERVER)),
    ],
)
def test_an_id_that_is_no_uuid_is_none_in_either_spelling(changed: dict[str, Any], read: Attachment) -> None:
    said = {**entry(), "device": None, "attached_at": None, **changed}

    assert _read(said).attachments == (read,)


@pytest.mark.parametrize(
    ("listed", "spellings"),
    [(None, (SERVER,)), (SERVER, (SERVER,)), (SERVER.upper(), (SERVER, SERVER.upper()))],
)
def test_a_server_is_asked_for_in_each_spelling_once(listed: str | None, spellings: tuple[str, ...]) -> None:
    assert Attachment(ATTACHMENT, ATTACHMENT, SERVER, listed_server_id=listed).server_spellings == spellings
    assert Attachment(ATTACHMENT, ATTACHMENT, None, listed_server_id=listed).server_spellings == ()


def test_entries_that_may_not_be_read_are_not_said_to_be_unknown() -> None:
    services = services_of(Clock(), Signer())
    with responses.RequestsMock() as cloud:
        cloud.get(f"https://volume.example/v3/{PROJECT}/attachments", status=403)
        with pytest.raises(Failure) as failed:
            services.volumes.entries(VOLUME, services.context)

    assert failed.value.code is ErrorCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("delegated", "status", "code"),
    [
        (True, 500, ErrorCode.CONFIGURATION),
        (False, 500, ErrorCode.UPSTREAM_UNAVAILABLE),
        (True, 503, ErrorCode.UPSTREAM_UNAVAILABLE),
    ],
)
def test_only_a_500_is_blamed_on_a_delegated_token(delegated: bool, status: int, code: ErrorCode) -> None:
    assert _volumes(delegated=delegated).why_not_detached(Answer(status, {}, b"", None)).code is code
