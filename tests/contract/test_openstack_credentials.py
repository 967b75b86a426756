"""What OpenStack's own clients log in with, the function does: nothing else is set but the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.test_one import FREE, HELD

if TYPE_CHECKING:
    from tests.contract.case import Case


@pytest.fixture
def openrc(case: Case) -> dict[str, str]:
    """What an openrc of the project's user exports; all settings of ours but the reference are taken away."""
    user = case.home.user
    ours = case.lab.environment(case.project_id)
    case.settings = {
        **dict.fromkeys(ours, ""),
        "DETACH_TOKEN_SECRET": "openstack:",
        "OS_AUTH_URL": ours["DETACH_IDENTITY_ENDPOINT"].removesuffix("/v3"),
        "OS_USERNAME": user.name,
        "OS_PASSWORD": user.password,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_NAME": user.project_name,
        "OS_PROJECT_DOMAIN_ID": "default",
    }
    return case.settings


def _clears(case: Case) -> None:
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


@pytest.mark.usefixtures("openrc")
def test_a_password_and_names_are_enough(case: Case) -> None:
    _clears(case)


@pytest.mark.parametrize("kind", ["password", "v3password"])
def test_domains_and_projects_may_be_named_by_id(case: Case, openrc: dict[str, str], kind: str) -> None:
    for name in ("OS_USER_DOMAIN_NAME", "OS_PROJECT_NAME", "OS_PROJECT_DOMAIN_ID"):
        del openrc[name]
    openrc |= {"OS_AUTH_TYPE": kind, "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_ID": case.project_id}
    _clears(case)


def test_the_clients_default_domain_holds(case: Case, openrc: dict[str, str]) -> None:
    for name in ("OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID"):
        del openrc[name]
    openrc["OS_IDENTITY_API_VERSION"] = "3"
    _clears(case)


def test_a_region_and_an_interface_of_the_catalog_are_chosen(case: Case, openrc: dict[str, str]) -> None:
    openrc |= {"OS_REGION_NAME": case.lab.region, "OS_INTERFACE": "internal"}
    _clears(case)


def test_a_region_that_the_catalog_lacks_is_no_region(case: Case, openrc: dict[str, str]) -> None:
    openrc["OS_REGION_NAME"] = "elsewhere"
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "500 failed configuration", (disk, HELD, HELD))


def test_a_token_is_exchanged(case: Case, openrc: dict[str, str]) -> None:
    openrc |= {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": case.lab.token(case.project_id)}
    _clears(case)


def test_a_token_that_was_revoked_is_refused(case: Case, openrc: dict[str, str]) -> None:
    token = case.lab.token(case.project_id)
    case.lab.revoke(token)
    openrc |= {"OS_AUTH_TYPE": "token", "OS_TOKEN": token}
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed token_rejected (404)", (disk, HELD, HELD))


def test_an_application_credential_looks(case: Case, openrc: dict[str, str]) -> None:
    _with_application_credential(case, openrc)
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "dry_run": True}
    case.ask(work, "200 would_detach", (disk, HELD, HELD))


def test_an_application_credential_is_told_to_use_a_password(case: Case, openrc: dict[str, str]) -> None:
    _with_application_credential(case, openrc)
    disk = case.orphan()
    case.ask({"volume_id": disk.volume_id}, "500 failed configuration (500)", (disk, HELD, HELD))


def _with_application_credential(case: Case, openrc: dict[str, str]) -> None:
    credential_id, secret = case.lab.application_credential(case.project_id)
    for name in (
        "OS_USERNAME",
        "OS_PASSWORD",
        "OS_USER_DOMAIN_NAME",
        "OS_PROJECT_NAME",
        "OS_PROJECT_DOMAIN_ID",
    ):
        del openrc[name]
    openrc |= {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_APPLICATION_CREDENTIAL_ID": credential_id,
        "OS_APPLICATION_CREDENTIAL_SECRET": secret,
    }


def test_an_unknown_application_credential_is_refused(case: Case, openrc: dict[str, str]) -> None:
    _with_application_credential(case, openrc)
    openrc["OS_APPLICATION_CREDENTIAL_ID"] = "f" * 32
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "502 failed token_rejected (404)", (disk, HELD, HELD))
