"""What people, operators and faults make of servers, hosts and records, beside what a case asks for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from tests.contract.lab import Disk, Link

BuildStage = Literal["scheduling", "spawning"]
EntryState = Literal["reserved", "attaching", "attached", "error_attaching"]


class Faults(Protocol):
    """The same at both clouds; at a real one through its APIs, and where no API does it in the database."""

    # Servers and their hosts.

    def plug(self, disk: Disk, server_id: str, *, delete_on_termination: bool = False) -> Disk:
        """Attach a free volume through the compute service; give it with its new attachment."""

    def start_from_disk(self, project_id: str) -> Disk:
        """Make a server that starts from a volume, and give that."""

    def building(self, project_id: str, stage: BuildStage) -> AbstractContextManager[Disk]:
        """Begin a server with a disk, and have it stay so until the end of it; then it runs."""

    def admin_action(self, server_id: str, name: str, arguments: object = None) -> None:
        """Do something to a server as the administrator."""

    def write_server(self, server_id: str, status: str, task_state: str | None = None) -> None:
        """Write a server's status and task over."""

    def host(self, state: Literal["silent", "down"]) -> AbstractContextManager[None]:
        """Have the host of all servers take no work; ``down``: and the compute service knows."""

    def age_server(self, server_id: str) -> None:
        """Have a server look as if it had been made hours before what ``age`` was done to."""

    # Records.

    def entry(self, disk: Disk, server_id: str | None, *, connected: bool) -> Disk:
        """Begin an attachment at the volume service alone: ``reserved``, with a connector ``attaching``."""

    def write_record(
        self, disk: Disk, status: str, attach_status: str, entry: EntryState | None = None
    ) -> None:
        """Write a volume's record over, and the states of its entries."""

    def write_entry(self, link: Link, entry: EntryState) -> None:
        """Write the state of one entry over."""

    def lose_entries(self, disk: Disk) -> AbstractContextManager[None]:
        """Have the volume service not know a volume's entries for a while; its record stays as it is."""

    def rename_entries(self, disk: Disk, server_id: str | None) -> None:
        """Have a volume's entries name another server, or none."""

    def lose_record(self, disk: Disk) -> AbstractContextManager[None]:
        """Have the volume service not know a volume for a while."""

    def age(self, disk: Disk) -> None:
        """Have a volume's record and its entries look as they had been so for hours."""

    def free(self, disk: Disk) -> None:
        """Set a volume's record free, whoever has it."""
