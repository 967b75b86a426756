"""The demo world: a project with disks in every interesting state, under ids that never change.

The samples in ``events/`` and the documentation name these ids. A name says what it is the id of:
``…_SERVER``, ``…_VOLUME``, ``…_ATTACHMENT``. Servers called gone existed once and are deleted on record,
but for PURGED_SERVER, of which nothing is left.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.embedded_cloud.records import Attachment

if TYPE_CHECKING:
    from tests.embedded_cloud.cloud import Cloud

DETACHER = "detacher"
DETACHER_PASSWORD = "correct-horse-battery-staple"
DETACHER_DOMAIN = "Default"

PROJECT = "f70daff965149cc9d998ec4e99145adc"
OTHER_PROJECT = "0f38c9f6b13c38a19785acc3bfeb03cc"

LIVE_SERVER = "4ccff8d2-b7f6-4252-942f-a9bc86113bd4"
LIVE_VOLUME = "a865b938-d39c-47e6-828f-744f5b818230"
LIVE_ATTACHMENT = "7da83e42-0d65-4c4c-8d1c-5eef5cc99a6e"
STOPPED_SERVER = "72c2e657-035f-4884-89d7-0033f6e12f19"
STOPPED_VOLUME = "c65aaeb5-4faf-4bc3-bc1c-ecc923f539b0"
STOPPED_ATTACHMENT = "cf82b811-0b3a-4eb1-bf0d-c8247e404af9"
SHELVED_SERVER = "881b0344-625c-4a99-b6eb-a7d32812accb"
SHELVED_VOLUME = "787eed7e-8491-4290-a57f-b4d74d814828"
SHELVED_ATTACHMENT = "f98e621a-24d9-46ca-812c-98b19f96aa00"
SOFT_DELETED_SERVER = "1dd1dd80-cac5-4dd9-84d9-7b3e62e2210e"
SOFT_DELETED_VOLUME = "0cddc614-64a3-4e73-803b-94fb5be37fcc"
SOFT_DELETED_ATTACHMENT = "a902bcf6-8004-4a06-8ff0-24a2e2683b05"
DELETING_SERVER = "19f4e68f-31fb-4c07-aa79-347fb5050493"
DELETING_VOLUME = "4c943194-06f5-4c08-9674-cea3e5aa9f6c"
DELETING_ATTACHMENT = "18be8c02-6509-4182-8cb2-55a14c5a6805"
FORGETFUL_SERVER = "ef695e3f-36f7-4560-8385-a211a79549b8"
FORGOTTEN_VOLUME = "d5b2bc5c-73a4-4df0-8910-c3b4efea6e0d"
FORGOTTEN_ATTACHMENT = "6ed34b11-7cd4-4dd0-954c-7209c3e02b7e"
LOCKED_SERVER = "48f165d5-7b00-47f4-b81e-f86f5c8cc1ab"
LOCKED_VOLUME = "017f9ee6-725e-409d-ba05-62d56abd685a"
LOCKED_ATTACHMENT = "b6043106-a85f-48b6-9aa8-b2a668d605d4"
BOOTED_SERVER = "38f12d92-a28f-47d8-bce4-4e27424458b6"
ROOT_VOLUME = "d09e0492-4d52-4c61-8bed-ce030297c5e5"
ROOT_ATTACHMENT = "f3a16071-2456-4e76-aaad-d6b855c6b62b"

GONE_SERVER = "1da7dcd9-5059-4aec-a1de-2cf1f82cbe27"
ORPHAN_VOLUME = "543fdc50-6daa-48e5-808c-c4189495d318"
ORPHAN_ATTACHMENT = "5ecf20fc-c3e3-40ae-b32a-b41210e9f608"
SECOND_GONE_SERVER = "17f9e4af-51cb-4f99-84ca-ed9e08ad16a7"
SECOND_ORPHAN_VOLUME = "5a925410-ddf8-4da1-805d-48c6e3128674"
SECOND_ORPHAN_ATTACHMENT = "9a871476-d1c8-435a-beab-a0b336aa4ab9"
THIRD_GONE_SERVER = "690ae55b-8a74-46b4-ad70-e1f3d0636e4b"
THIRD_ORPHAN_VOLUME = "3bfde39d-a9b7-4d03-ad59-25d0b952bcfb"
THIRD_ORPHAN_ATTACHMENT = "f2d301a5-2ee8-4bdf-b0de-f0ccd3a9139a"
FOURTH_GONE_SERVER = "949e03a1-b085-4d0c-b0f5-ecddce5f0f9a"
FOURTH_ORPHAN_VOLUME = "82e2e3fb-1917-4add-95af-6646cdb18be4"
FOURTH_ORPHAN_ATTACHMENT = "ddd4e6a8-0516-4904-bcef-0ccfae52f0ac"
FIFTH_GONE_SERVER = "abc07fc3-30bc-469d-8c58-8ccdfb4dad49"
FIFTH_ORPHAN_VOLUME = "91308476-fa98-417a-8c88-86d5fb20a33b"
FIFTH_ORPHAN_ATTACHMENT = "43f622ae-3084-4889-a2e2-b81b65bf912d"
SIXTH_GONE_SERVER = "4948dd23-039f-4c10-871c-135dd8db34c0"
SIXTH_ORPHAN_VOLUME = "5b258b0e-caec-4dc9-8ea5-e449f490224f"
SIXTH_ORPHAN_ATTACHMENT = "8022dced-b482-4563-8b04-0318ce7d1502"
PURGED_SERVER = "cd646cfd-30d3-434d-9564-318f40c5ae82"
PURGED_VOLUME = "32093735-d934-45f6-a972-a984ca8a2c50"
PURGED_ATTACHMENT = "adc26393-1569-4b82-b29d-3b0f92129267"
YOUNG_GONE_SERVER = "6c992fda-6a8c-4f0b-886a-9afcc7f85411"
YOUNG_ORPHAN_VOLUME = "4efaadc7-4131-46aa-9322-f9a17efb4686"
YOUNG_ORPHAN_ATTACHMENT = "3fd82673-b105-4e38-b199-1ee851281b21"

TWO_DISK_GONE_SERVER = "c4e06c4b-995f-4118-be27-050e9c62deb8"
FIRST_DISK_VOLUME = "8196693a-81d5-45e8-b873-9cf65e493acf"
FIRST_DISK_ATTACHMENT = "dac02582-ea94-464e-95ec-aeac38400d5f"
SECOND_DISK_VOLUME = "eed5ef12-4843-434c-a1fa-2044908ff957"
SECOND_DISK_ATTACHMENT = "3a06c367-99bd-4cb6-8001-45278b4571d0"
MULTI_GONE_SERVER = "05a37d95-6765-452a-8176-70bb8a10beff"
MULTI_VOLUME = "bda821e5-ae92-40a1-9643-df850f7c0028"
MULTI_LIVE_ATTACHMENT = "4b77beac-95d5-4b24-ad42-d94f50705354"
MULTI_GONE_ATTACHMENT = "2dbc8d75-c37f-4eec-abcd-8fe52dd56bed"
HOST_VOLUME = "d7598f1d-bafb-4f3e-9708-4dadf5e6f3f1"
HOST_ATTACHMENT = "04970771-ba8d-4b95-acb3-d143532a7795"
FOREIGN_GONE_SERVER = "59dc13c7-b7a1-44da-a783-f7bb07b2369f"
FOREIGN_VOLUME = "839b47f4-8173-4f70-8d99-208ba8d22c8a"
FOREIGN_ATTACHMENT = "7b3def61-17f0-4eb2-83f3-c8556bed571e"

AVAILABLE_VOLUME = "3c85849b-2b6e-4f2f-837b-826f05acafc9"
ATTACHING_VOLUME = "b478be89-e381-4d16-8c15-dc0047a8351f"
RESERVED_VOLUME = "e390d764-f97a-4dea-af2e-d53fe720ed5a"
STATES_GONE_SERVER = "93459b7f-e198-4f0c-a666-a744fcdcb238"
DETACHING_VOLUME = "5be7c95e-ab56-4ea7-a01c-03f1f73e5f71"
DETACHING_ATTACHMENT = "101c9577-9f80-4d42-a3ec-1f357d863e59"
STUCK_DETACHING_VOLUME = "956ea210-6829-433b-9f36-4edecf19a0fb"
STUCK_DETACHING_ATTACHMENT = "c018af5c-a3ed-44fa-b5f2-8ee68f007bb7"
ERROR_DETACHING_VOLUME = "628e5ab5-61f0-49ee-bce8-9bae4bedb84b"
ERROR_DETACHING_ATTACHMENT = "8304f78f-4b7f-4a1c-ba3c-3a1f037c42ca"
STUCK_ATTACHING_VOLUME = "05adb3fc-4f63-4127-9a23-bef7be506564"
STUCK_RESERVED_VOLUME = "9a508bb1-f4c9-4a65-b868-e6d9ca0bc36c"
STUCK_RESERVED_ATTACHMENT = "2769e927-e4bf-4564-8537-2ef440e5c51e"
MAINTENANCE_VOLUME = "eedf44c7-f6c5-4e70-949d-3f971f86d3e1"
MAINTENANCE_ATTACHMENT = "ee2cfdfe-1f62-49c0-a7a3-84bbfc674cd8"
ABSENT_VOLUME = "29608438-b8bd-4dcc-a3d0-3fc3126a8c48"
ABSENT_ATTACHMENT = "ee3a4bf0-6877-4e10-ae8e-3ecf5f174458"

# Servers that nothing is wrong with, each with a disk: most of a project is like this.
ORDINARY = 20

NAMES: dict[str, str] = {
    name.lower(): value
    for name, value in globals().items()
    if isinstance(value, str) and name.isupper() and name != "DETACHER_PASSWORD"
}

_ORPHANS = (
    (ORPHAN_VOLUME, ORPHAN_ATTACHMENT, GONE_SERVER),
    (SECOND_ORPHAN_VOLUME, SECOND_ORPHAN_ATTACHMENT, SECOND_GONE_SERVER),
    (THIRD_ORPHAN_VOLUME, THIRD_ORPHAN_ATTACHMENT, THIRD_GONE_SERVER),
    (FOURTH_ORPHAN_VOLUME, FOURTH_ORPHAN_ATTACHMENT, FOURTH_GONE_SERVER),
    (FIFTH_ORPHAN_VOLUME, FIFTH_ORPHAN_ATTACHMENT, FIFTH_GONE_SERVER),
    (SIXTH_ORPHAN_VOLUME, SIXTH_ORPHAN_ATTACHMENT, SIXTH_GONE_SERVER),
    (FIRST_DISK_VOLUME, FIRST_DISK_ATTACHMENT, TWO_DISK_GONE_SERVER),
    (SECOND_DISK_VOLUME, SECOND_DISK_ATTACHMENT, TWO_DISK_GONE_SERVER),
    (PURGED_VOLUME, PURGED_ATTACHMENT, PURGED_SERVER),
)
_A_DAY, _AN_HOUR, _TWO_MINUTES = timedelta(days=1), timedelta(hours=1), timedelta(minutes=2)


def plant(cloud: Cloud) -> dict[str, str]:
    """Fill an empty world, and know the detacher. Gives names and ids."""
    if (DETACHER_DOMAIN, DETACHER) not in cloud.identity.users:
        cloud.add_user(DETACHER, DETACHER_PASSWORD, DETACHER_DOMAIN)
    _living(cloud)
    _orphaned(cloud)
    _stuck(cloud)
    return dict(NAMES)


def _link(cloud: Cloud, attachment_id: str, server_id: str | None, device: str = "/dev/vdb") -> Attachment:
    attached_at = cloud.stamp(20 * _A_DAY)
    return Attachment(attachment_id, server_id, device, attached_at, connected=server_id is not None)


def _living(cloud: Cloud) -> None:
    random = Random(2026)
    for number in range(ORDINARY):
        steady = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(3)]
        cloud.add_server(steady[0], name=f"web-{number + 1:02}")
        cloud.add_volume(steady[1], attachments=[_link(cloud, steady[2], steady[0])], size=40)
    for server_id, status, task_state, volume_id, attachment_id in (
        (LIVE_SERVER, "ACTIVE", None, LIVE_VOLUME, LIVE_ATTACHMENT),
        (STOPPED_SERVER, "SHUTOFF", None, STOPPED_VOLUME, STOPPED_ATTACHMENT),
        (SHELVED_SERVER, "SHELVED_OFFLOADED", None, SHELVED_VOLUME, SHELVED_ATTACHMENT),
        (SOFT_DELETED_SERVER, "SOFT_DELETED", None, SOFT_DELETED_VOLUME, SOFT_DELETED_ATTACHMENT),
        (DELETING_SERVER, "ACTIVE", "deleting", DELETING_VOLUME, DELETING_ATTACHMENT),
    ):
        cloud.add_server(server_id, status, task_state)
        cloud.add_volume(volume_id, attachments=[_link(cloud, attachment_id, server_id)], size=40)
    cloud.add_server(LOCKED_SERVER, locked_by="owner")
    cloud.add_volume(LOCKED_VOLUME, attachments=[_link(cloud, LOCKED_ATTACHMENT, LOCKED_SERVER)], size=40)
    cloud.add_server(BOOTED_SERVER)
    root = _link(cloud, ROOT_ATTACHMENT, BOOTED_SERVER, "/dev/vda")
    cloud.add_volume(ROOT_VOLUME, attachments=[root], root=True, size=40)
    cloud.add_server(FORGETFUL_SERVER, "SHUTOFF")
    forgotten = _link(cloud, FORGOTTEN_ATTACHMENT, FORGETFUL_SERVER)
    cloud.add_volume(FORGOTTEN_VOLUME, attachments=[forgotten], known_to_compute=False, size=40)


def _orphaned(cloud: Cloud) -> None:
    for server_id in dict.fromkeys(server_id for _, _, server_id in _ORPHANS):
        cloud.add_server(server_id)
    for server_id in (MULTI_GONE_SERVER, YOUNG_GONE_SERVER, FOREIGN_GONE_SERVER):
        cloud.add_server(server_id)
    for volume_id, attachment_id, server_id in _ORPHANS:
        cloud.add_volume(volume_id, attachments=[_link(cloud, attachment_id, server_id)], size=100)
    shared = [_link(cloud, MULTI_LIVE_ATTACHMENT, LIVE_SERVER, "/dev/vdc")]
    shared += [_link(cloud, MULTI_GONE_ATTACHMENT, MULTI_GONE_SERVER)]
    cloud.add_volume(MULTI_VOLUME, attachments=shared, size=200)
    cloud.add_volume(HOST_VOLUME, attachments=[_link(cloud, HOST_ATTACHMENT, None)], size=10)
    young = _link(cloud, YOUNG_ORPHAN_ATTACHMENT, YOUNG_GONE_SERVER)
    young.attached_at = cloud.stamp(_TWO_MINUTES)
    cloud.add_volume(YOUNG_ORPHAN_VOLUME, attachments=[young], updated_at=_TWO_MINUTES, size=10)
    foreign = _link(cloud, FOREIGN_ATTACHMENT, FOREIGN_GONE_SERVER)
    cloud.add_volume(
        FOREIGN_VOLUME, attachments=[foreign], project_id=OTHER_PROJECT, seen_by=[PROJECT], size=10
    )
    cloud.delete_server(YOUNG_GONE_SERVER, at=timedelta(minutes=1))
    for server_id in (*(server_id for _, _, server_id in _ORPHANS), MULTI_GONE_SERVER, FOREIGN_GONE_SERVER):
        cloud.delete_server(server_id, at=2 * _A_DAY, purge=server_id == PURGED_SERVER)


def _stuck(cloud: Cloud) -> None:
    cloud.add_volume(AVAILABLE_VOLUME, size=10)
    cloud.add_volume(ATTACHING_VOLUME, "attaching", updated_at=_TWO_MINUTES, size=10)
    cloud.add_volume(RESERVED_VOLUME, "reserved", updated_at=_TWO_MINUTES, size=10)
    cloud.add_server(STATES_GONE_SERVER)
    for volume_id, status, attachment_id, age in (
        (DETACHING_VOLUME, "detaching", DETACHING_ATTACHMENT, _TWO_MINUTES),
        (STUCK_DETACHING_VOLUME, "detaching", STUCK_DETACHING_ATTACHMENT, 3 * _AN_HOUR),
        (ERROR_DETACHING_VOLUME, "error_detaching", ERROR_DETACHING_ATTACHMENT, 3 * _AN_HOUR),
        (MAINTENANCE_VOLUME, "maintenance", MAINTENANCE_ATTACHMENT, _TWO_MINUTES),
    ):
        link = _link(cloud, attachment_id, STATES_GONE_SERVER)
        cloud.add_volume(volume_id, status, [link], updated_at=age, size=10)
    cloud.add_volume(STUCK_ATTACHING_VOLUME, "attaching", updated_at=3 * _AN_HOUR, size=10)
    link = _link(cloud, STUCK_RESERVED_ATTACHMENT, STATES_GONE_SERVER)
    link.status, link.connected = "reserved", False
    cloud.add_volume(STUCK_RESERVED_VOLUME, "reserved", [link], updated_at=3 * _AN_HOUR, size=10)
    cloud.delete_server(STATES_GONE_SERVER, at=2 * _A_DAY)
