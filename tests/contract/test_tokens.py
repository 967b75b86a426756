"""Whose token the function works with, and what becomes of one that is refused."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from tests.contract.test_one import FREE, HELD

if TYPE_CHECKING:
    from tests.contract.case import Case


def _with_secret(case: Case, content: Any, **settings: str) -> None:
    case.settings = {"DETACH_TOKEN_SECRET": case.home.functions.secret(content), **settings}


def test_a_bare_token_is_used(case: Case) -> None:
    _with_secret(case, case.lab.token(case.project_id))
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_a_token_in_json_is_used(case: Case) -> None:
    _with_secret(case, {"token": case.lab.token(case.project_id)})
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_a_password_is_good_for_the_project_named_by_id(case: Case) -> None:
    user = case.home.user
    secret = {"username": user.name, "password": user.password, "domain": "Default"}
    _with_secret(case, {**secret, "project": user.project_id})
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_a_password_is_good_for_the_project_named_by_name(case: Case) -> None:
    user = case.home.user
    secret = {"username": user.name, "password": user.password, "domain": "Default"}
    _with_secret(case, {**secret, "project": user.project_name, "project_domain": "Default"})
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def _with_application_credential(case: Case) -> None:
    credential_id, secret = case.lab.application_credential(case.project_id)
    _with_secret(case, {"application_credential_id": credential_id, "application_credential_secret": secret})


def test_an_application_credential_clears_where_the_cloud_asks_nobody(case: Case) -> None:
    _with_application_credential(case)
    disk = case.lab.recorded_disk(case.project_id, str(uuid.uuid4()), connected=False)
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_an_application_credential_does_not_take_the_cloud_to_its_compute_service(case: Case) -> None:
    """Cinder exchanges the caller's token to ask Nova, and Keystone exchanges no delegated ones."""
    _with_application_credential(case)
    disk = case.orphan()
    answer = case.ask({"volume_id": disk.volume_id}, "500 failed configuration (500)", (disk, HELD, HELD))
    assert "Use a password" in answer.document["error"]["message"]
    assert answer.document["changed"] is None


def test_a_wrong_password_is_reported(case: Case) -> None:
    user = case.home.user
    _with_secret(case, {"username": user.name, "password": "wrong", "domain": "Default"})
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed token_rejected (401)", (disk, HELD, HELD))


def test_an_expired_token_is_reported(case: Case) -> None:
    _with_secret(case, case.lab.expired_token(case.project_id))
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed token_rejected (401)", (disk, HELD, HELD))


def test_a_revoked_token_is_reported(case: Case) -> None:
    token = case.lab.token(case.project_id)
    _with_secret(case, token)
    disk, other = case.never_known(), case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))
    case.lab.revoke(token)
    case.ask({"volume_id": other.volume_id}, "502 failed token_rejected (401)", (other, HELD, HELD))


def test_an_issued_token_that_was_revoked_is_issued_anew(case: Case) -> None:
    user = case.lab.user(case.project_id)
    _with_secret(case, {"username": user.name, "password": user.password, "domain": "Default"})
    disk, other = case.never_known(), case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))
    case.lab.revoke_all(user)
    case.ask({"volume_id": other.volume_id}, "200 detached", (other, HELD, FREE))


def test_an_issued_token_that_has_expired_is_issued_anew(case: Case) -> None:
    user = case.lab.user(case.project_id)
    with case.lab.fleeting() as settings:
        secret = {"username": user.name, "password": user.password, "domain": "Default"}
        _with_secret(case, secret, **settings)
        disk, other = case.never_known(), case.never_known()
        case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))
        time.sleep(2.1)
        case.ask({"volume_id": other.volume_id}, "200 detached", (other, HELD, FREE))


def test_a_reader_may_look(case: Case) -> None:
    _with_secret(case, case.lab.token(case.project_id, role="reader"))
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "dry_run": True}
    case.ask(work, "200 would_detach", (disk, HELD, HELD))


def test_a_reader_may_not_clear(case: Case) -> None:
    _with_secret(case, case.lab.token(case.project_id, role="reader"))
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed permission_denied (403)", (disk, HELD, HELD))


def test_another_projects_token_is_not_used(case: Case, case_alone: Case) -> None:
    _with_secret(case, case.lab.token(case_alone.project_id))
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "500 failed configuration", (disk, HELD, HELD))


def test_another_projects_user_gets_no_token(case: Case, case_alone: Case) -> None:
    user = case_alone.home.user
    _with_secret(case, {"username": user.name, "password": user.password, "domain": "Default"})
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed token_rejected (401)", (disk, HELD, HELD))
