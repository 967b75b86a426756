"""What was sent to free a disk, and what the cloud goes on doing after its answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Via(str, Enum):
    """What was sent to free the disk; in a dry run what would be."""

    OS_DETACH = "os-detach"
    OS_UNRESERVE = "os-unreserve"
    COMPUTE = "compute"
    ECS = "ecs"


@dataclass(frozen=True)
class Job:
    """What the cloud goes on doing after its answer."""

    id: str
    state: str
