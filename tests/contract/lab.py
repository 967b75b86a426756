"""What a contract case may ask of a cloud. Two clouds give it: the embedded one and a real one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.contract.faults import Faults

LISTER, SINGLE_VIEWER, VOLUME_LISTER = "lister", "single_viewer", "volume_lister"
"""Roles, beside a member's, that see all projects' servers in lists only, singly only, and all but single
volumes of others."""

PARTIAL = (LISTER, SINGLE_VIEWER, VOLUME_LISTER)


@dataclass(frozen=True)
class Link:
    """One attachment of a volume, as the cloud lists it. ``server_id`` is None when a host holds it."""

    attachment_id: str
    server_id: str | None


@dataclass(frozen=True)
class Disk:
    """A volume that a case has made, with its attachments of that moment, in the order they were made.

    ``others``: servers that no attachment names, and that may have the volume all the same.
    """

    volume_id: str
    links: tuple[Link, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def attachment_id(self) -> str:
        return self.links[0].attachment_id

    @property
    def server_id(self) -> str:
        server_id = self.links[0].server_id
        assert server_id is not None
        return server_id


@dataclass(frozen=True)
class Record:
    """What the volume service's own API says of a volume now."""

    status: str
    links: tuple[Link, ...] = ()

    def __str__(self) -> str:
        return f"{self.status} {len(self.links)}"


ABSENT = Record("absent")


@dataclass(frozen=True)
class User:
    """Who has tokens issued for a password, all in the domain ``Default``."""

    name: str
    password: str = field(repr=False)
    project_id: str
    project_name: str


class Lab(Protocol):
    """A cloud to try things in. Volumes, servers and users belong to a project, given by its id."""

    name: str
    region: str
    """The catalog's only one."""

    @property
    def faults(self) -> Faults:
        """What it can be made to suffer."""

    def project(self) -> str:
        """Make a project with nothing in it."""

    def environment(self, project_id: str) -> dict[str, str]:
        """Give the function's settings for this cloud and project, but for its secrets."""

    # Whose calls they are.

    def user(self, project_id: str, role: str = "member") -> User:
        """Make a user with one role on the project, which may be one of PARTIAL."""

    def application_credential(self, project_id: str) -> tuple[str, str]:
        """Make an application credential of a member; give its id and secret."""

    def token(self, project_id: str, role: str = "member") -> str:
        """Have a token issued."""

    def expired_token(self, project_id: str) -> str:
        """Have a member's token issued, and give it when its time is over."""

    def revoke(self, token: str) -> None:
        """Revoke a token."""

    def revoke_all(self, user: User) -> None:
        """Revoke all tokens that the user was issued so far; the password stays good."""

    def fleeting(self) -> AbstractContextManager[dict[str, str]]:
        """Give settings by which the function is issued tokens that live two seconds."""

    # Servers.

    def boot(self, project_id: str) -> str:
        """Make a server and wait until it runs; give its id."""

    def stop(self, server_id: str) -> None:
        """Power a server off."""

    def soft_delete(self, server_id: str) -> None:
        """Delete a server so that it can still be restored."""

    def delete(self, server_id: str) -> None:
        """Ask for a server's deletion for good; it may take its time."""

    def vanish(self, server_id: str) -> None:
        """Delete a server for good while its volumes' attachments stay: how an orphan comes about."""

    def forget(self, server_id: str, volume_id: str) -> None:
        """Have the compute service forget that the server has the volume; the volume's record stays."""

    def holds(self, server_id: str, volume_id: str) -> bool:
        """Ask the compute service whether a server has a volume; one that there is not has none."""

    def held(self, server_id: str) -> list[str]:
        """Ask the compute service which volumes the server has."""

    def send(self, server_id: str, action: str, status: str) -> None:
        """Have a member's action done to a server, and wait until it has the status and no task."""

    def hypervisor(self, *, waits: bool = False, fails: str | None = None) -> AbstractContextManager[None]:
        """Have detaches wait at the hypervisor until the end of it, or fail there.

        ``fails``: "guest", which keeps the disk; "cinder", which can't be told that the disk was taken.
        """

    # Volumes.

    def disk(self, project_id: str, *server_ids: str) -> Disk:
        """Make a volume, attached to servers: those that run get it through the compute service.

        For one that the cloud never knew the volume service is told, as the compute service would.
        """

    def recorded_disk(self, project_id: str, server_id: str | None, *, connected: bool = True) -> Disk:
        """Make a volume that only the volume service holds for attached: to a server, or to a host (None).

        ``connected``: with a connector, as the compute service does it; else by os-attach.
        """

    def reserve(self, disk: Disk) -> None:
        """Reserve a free volume, as before an attachment: it is ``attaching`` then."""

    def set_status(self, disk: Disk, status: str) -> None:
        """Write a volume's status over, as an administrator, and where no API does it in the database."""

    def delete_volume(self, disk: Disk) -> None:
        """Delete a free volume, and wait until it is gone."""

    def entries(self, volume_id: str) -> list[str]:
        """Read the states of all entries of a volume, by the alphabet, those that its record hides too."""

    def links(self, volume_id: str) -> tuple[Link, ...]:
        """Read all entries of a volume, those that its record hides too, in any order."""

    def look(self, volume_id: str) -> Record:
        """Read a volume through the volume service's own API, as an administrator."""
