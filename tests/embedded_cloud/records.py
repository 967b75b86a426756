"""What the cloud keeps of a volume and of a server; tests may look at it and change it."""

from __future__ import annotations

from dataclasses import dataclass, field


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


@dataclass(slots=True, eq=False)
class Volume:
    """A volume. ``project_id`` is its tenant, ``seen_by`` are the projects whose tokens it is shown to."""

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
    settling: list[tuple[float, str | None]] = field(default_factory=list)

    def attachment(self, attachment_id: str) -> Attachment | None:
        return next((a for a in self.attachments if a.attachment_id == attachment_id), None)


@dataclass(slots=True, eq=False)
class Disk:
    """A volume at a server, as the compute service records it."""

    device: str
    attachment_id: str
    bdm_uuid: str


@dataclass(slots=True, eq=False)
class Action:
    """An entry of a server's own record."""

    action: str
    start_time: str
    request_id: str


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
