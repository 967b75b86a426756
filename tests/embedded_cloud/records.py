"""What the cloud keeps of a volume and of a server; tests may look at it and change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# How far an entry of the attachments API has come; a volume's own record shows only what is attached.
EntryStatus = Literal["attached", "attaching", "reserved", "error_attaching"]

_VM_STATES = {
    "SHUTOFF": "stopped",
    "SOFT_DELETED": "soft-delete",
    "BUILD": "building",
    "RESCUE": "rescued",
    "VERIFY_RESIZE": "resized",
    "REBOOT": "active",
    "HARD_REBOOT": "active",
    "MIGRATING": "active",
    "RESIZE": "active",
}


@dataclass(slots=True, eq=False)
class Attachment:
    """One attachment as the volume service records it.

    ``connected``: made with a connector, as by Nova; only then does Cinder ask Nova before it clears it.
    """

    attachment_id: str
    server_id: str | None
    device: str
    attached_at: str | None
    host_name: str | None = None
    connected: bool = True
    status: EntryStatus = "attached"


@dataclass(slots=True, eq=False)
class Volume:
    """A volume. ``project_id`` is its tenant, ``seen_by`` are the projects whose tokens it is shown to.

    ``attachments`` are all entries, those that the record hides included. ``attach_status`` is in no API, but
    a detach through the compute service hangs on it.
    """

    id: str
    status: str
    project_id: str
    seen_by: frozenset[str]
    size: int
    created_at: str
    updated_at: str | None
    attachments: list[Attachment]
    metadata: dict[str, str]
    multiattach: bool
    name: str
    key: tuple[str, str]
    attach_status: str = "detached"
    settling: list[tuple[float, str | None]] = field(default_factory=list)

    def attachment(self, attachment_id: str) -> Attachment | None:
        return next((a for a in self.attachments if a.attachment_id == attachment_id), None)


@dataclass(slots=True, eq=False)
class Disk:
    """A volume at a server, as the compute service records it.

    ``root``: the server boots from it. ``boot_index`` is what Huawei Cloud's ECS shows of that: 0 for a root;
    documented as an integer in one place and a boolean in another, and left out here when it is None.
    """

    device: str
    attachment_id: str
    bdm_uuid: str
    delete_on_termination: bool = False
    root: bool = False
    boot_index: int | bool | str | None = -1


@dataclass(slots=True, eq=False)
class Event:
    """A part of an action that a host reports; ``result`` and ``finish_time`` are None while it runs."""

    event: str
    start_time: str
    finish_time: str | None = None
    result: Literal["Success", "Error"] | None = None


@dataclass(slots=True, eq=False)
class Action:
    """An entry of a server's own record. ``events`` is what a nova-compute wrote of it: names, results."""

    action: str
    start_time: str
    request_id: str
    message: str | None = None
    updated_at: str | None = None
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Host:
    """Where servers run. ``silent``: its agent has ended and the compute service does not know yet."""

    name: str
    state: Literal["up", "silent", "down"] = "up"
    cell: str = "cell1"


@dataclass(slots=True, eq=False)
class Server:
    """A server. ``disks`` are the volumes that the compute service knows at it, by volume id."""

    id: str
    status: str
    task_state: str | None
    project_id: str
    name: str
    created: str
    updated: str
    key: tuple[str, str]
    disks: dict[str, Disk] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    deleted_at: str | None = None
    locked_by: Literal["owner", "admin"] | None = None
    host: str = "compute-1"

    @property
    def vm_state(self) -> str:
        return _VM_STATES.get(self.status, self.status.lower())

    @property
    def placed(self) -> bool:
        """Whether it has a host: until then the compute service knows no disks and no actions of it."""
        return not (self.status == "BUILD" and self.task_state == "scheduling")

    @property
    def known_disks(self) -> dict[str, Disk]:
        return self.disks if self.placed else {}

    @property
    def queued_for_deletion(self) -> bool:
        """Whether the service has taken an order to delete it, which a soft delete is too."""
        return self.task_state in {"deleting", "soft-deleting"} or self.status == "SOFT_DELETED"

    @property
    def from_volume(self) -> bool:
        return any(disk.root for disk in self.disks.values())
