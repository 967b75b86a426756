"""A server is gone when it is gone by every spelling of its id that is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from handler.model.request import Target
from tests.embedded_cloud import Attachment, Cloud, Volume
from tests.unit.actions.at_the_cloud import one, said
from tests.unit.conftest import Deploy
from tests.unit.embedded_project import EmbeddedProject

pytestmark = pytest.mark.usefixtures("no_net_of_cinder_s")


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "without hyphens": lambda id_: id_.replace("-", ""),
    "in upper case": str.upper,
    "as a URN": lambda id_: f"urn:uuid:{id_}",
    "in braces": lambda id_: f"{{{id_}}}",
    "in braces without hyphens": lambda id_: f"{{{id_.replace('-', '')}}}",
}
_SERVER = "0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e"


def _spelt(cloud: Cloud, listed: str) -> tuple[Volume, Target]:
    link = Attachment(
        "9a9a9a9a-1b1b-4c2c-8d3d-4e4e4e4e4e4e", listed, "/dev/vdb", cloud.stamp(timedelta(days=1))
    )
    volume = cloud.add_volume(attachments=[link])
    return volume, Target(volume_id=volume.id, attachment_id=link.attachment_id)


@pytest.mark.parametrize("known", _SPELLINGS)
def test_a_server_that_is_known_by_another_spelling_keeps_its_disk(
    known: str, cloud: Cloud, deploy: Deploy
) -> None:
    spelling = _SPELLINGS[known](_SERVER)
    cloud.add_server(spelling)
    volume, target = _spelt(cloud, spelling)

    result = one(deploy(cloud), target)

    assert said(result) == ("refused", "server_exists", False)
    assert result.server.id == _SERVER
    assert len(volume.attachments) == 1


@pytest.mark.parametrize("listed", _SPELLINGS)
def test_a_server_that_is_known_by_its_canonical_id_keeps_its_disk(
    listed: str, cloud: Cloud, deploy: Deploy
) -> None:
    cloud.add_server(_SERVER)
    _, target = _spelt(cloud, _SPELLINGS[listed](_SERVER))

    assert said(one(deploy(cloud), target)) == ("refused", "server_exists", False)
    assert cloud.posts() == []


@pytest.mark.parametrize("listed", _SPELLINGS)
def test_a_server_is_gone_when_it_is_gone_by_both_spellings(
    listed: str, cloud: Cloud, deploy: Deploy
) -> None:
    spelling = _SPELLINGS[listed](_SERVER)
    _, target = _spelt(cloud, spelling)

    assert said(one(deploy(cloud), target)) == ("detached", None, True)
    asked = [call.path.rpartition("/")[2] for call in cloud.calls if call.service == "compute"]
    assert asked == [_SERVER, spelling]


_GARBLED = [
    _SERVER[:-1] + "\n",
    " " + _SERVER[:-1],
    _SERVER[:-2] + "_e",
    "+" + _SERVER[1:],
    "0x" + _SERVER[2:],
    "\u0660" + _SERVER[1:],
    "\uff10" + _SERVER[1:],
    _SERVER + "\n",
    "urn:" + _SERVER,
]
"""What `uuid.UUID` takes for a UUID all the same: another one, which nobody has."""


@pytest.mark.parametrize(
    "listed", ["compute-7", "0a0a0a0a", "", " ", "x" * 36, "-" * 200 + _SERVER, *_GARBLED]
)
def test_a_server_without_a_uuid_can_t_be_proven_gone(listed: str, cloud: Cloud, deploy: Deploy) -> None:
    _, target = _spelt(cloud, listed)

    assert said(one(deploy(cloud), target)) == ("refused", "server_unknown", False)
    assert not [call for call in cloud.calls if call.service == "compute"]


@pytest.mark.parametrize("listed", _SPELLINGS)
@pytest.mark.parametrize("known", [*_SPELLINGS, "canonical"])
def test_a_sweep_finds_a_server_in_whatever_spelling_it_is_listed(
    known: str, listed: str, bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.add_server(_SPELLINGS[known](_SERVER) if known in _SPELLINGS else _SERVER)
    volume, _ = _spelt(bare_cloud, _SPELLINGS[listed](_SERVER))

    result = project.sweep()

    assert result.scanned is not None
    assert result.scanned.candidates == 0
    assert len(volume.attachments) == 1


@pytest.mark.parametrize("listed", _SPELLINGS)
def test_a_sweep_leaves_a_server_its_disk_that_no_list_shows(
    listed: str, bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    spelling = _SPELLINGS[listed](_SERVER)
    bare_cloud.add_server(spelling, "SOFT_DELETED")  # Nova lists none of these
    bare_cloud.add_server()
    volume, _ = _spelt(bare_cloud, spelling)

    result = project.sweep()

    assert [said(part) for part in result.results] == [("refused", "server_exists", False)]
    assert len(volume.attachments) == 1


def test_what_is_remembered_of_one_spelling_is_not_taken_for_the_other(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    """Form *server* asks ahead for the canonical id, which this server is not known by."""
    spelling = _SERVER.replace("-", "")
    bare_cloud.add_server(spelling)
    volume, _ = _spelt(bare_cloud, spelling)

    result = project.clear_server(_SERVER)

    assert [said(part) for part in result.results] == [("refused", "server_exists", False)]
    assert len(volume.attachments) == 1
