"""Huawei Cloud's own API of servers, ``/v1``: the detach of a disk as a job, the job, and a server's disks.

By the vendor's documentation; nothing of it was tried. Error codes are those of its appendix that a detach
can meet; ``FAULTS`` has those that nothing here brings about by itself, for tests to answer with.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import entries
from tests.embedded_cloud.messages import Answer, json_answer
from tests.embedded_cloud.refusal import FAULT_NAMES, Refusal, gateway_fault, vendor_fault
from tests.embedded_cloud.volume_attachments import check_role

if TYPE_CHECKING:
    from tests.embedded_cloud.detach_job import Job
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Disk, Server
    from tests.embedded_cloud.volume_attachments import VolumeAttachments
    from tests.embedded_cloud.world import World

_ROUTE = re.compile(
    r"/v1/(?P<project>[0-9a-f-]+)/(?:jobs/(?P<job>[^/]+)|cloudservers/(?P<server>[^/]+)"
    r"(?:/(?P<part>detachvolume|block_device)(?:/(?P<volume>[^/]+))?)?)"
)

FAULTS: dict[str, tuple[int, str]] = {
    "Ecs.0073": (400, "The system disk is being backed up."),
    "Ecs.0101": (400, "The status of the system disk does not allow this operation."),
    "Ecs.0110": (403, "You do not have the permission to perform this operation."),
    "Ecs.0603": (501, "Another command is being executed. Try again one minute later."),
    "Ecs.0614": (404, "The ECS does not exist."),
    "Ecs.1001": (400, "Calling the OpenStack service failed."),
    "Ecs.1002": (400, "The OpenStack service timed out. Stop the ECS first and try again."),
    "Ecs.1300": (400, "Calling the EVS service failed."),
}


def fault(code: str) -> dict[str, Any]:
    """Give the status and body of a fault, as ``Cloud.misbehave`` takes them."""
    status, message = FAULTS[code]
    return {"status": status, "body": {"error": {"code": code, "message": message}}}


_STATUS_OF = {"queued": "INIT", "done": "SUCCESS", "failed": "FAIL"}


class Ecs:
    """Answers calls below ``/compute/v1``."""

    def __init__(self, world: World, attachments: VolumeAttachments) -> None:
        self.world = world
        self.behaviour = world.behaviour
        self.attachments = attachments

    def answer(self, call: Call, token: Token) -> Answer:
        route = _ROUTE.fullmatch(call.tail)
        if route is None or call.method != ("DELETE" if route["part"] == "detachvolume" else "GET"):
            message = "The API does not exist or has not been published in the environment"
            return gateway_fault(404, "APIGW.0101", message)
        try:
            answer = self._route(route, token)
        except Refusal as refusal:
            answer = self._refused(refusal)
        answer.headers.append(("X-Request-Id", uuid.uuid4().hex))
        return answer

    def _refused(self, refusal: Refusal) -> Answer:
        """Refuse by a code of the service's own, or with Nova's whole answer inside of a message."""
        status, code = refusal.vendor
        if not self.behaviour.ecs_wraps:
            return vendor_fault(status, code, refusal.message)
        inner = {FAULT_NAMES[refusal.status]: {"message": refusal.message, "code": refusal.status}}
        return vendor_fault(400, "Ecs.1000", json.dumps(inner))

    def _route(self, route: re.Match[str], token: Token) -> Answer:
        if route["project"] != token.project_id:
            raise Refusal(400, "The project of the token is another one.", (400, "Common.0018"))
        if route["job"]:
            return self._job(route["job"])
        server = self.world.servers.get(route["server"])
        if server is None or server.project_id != token.project_id:
            message = f"Instance {route['server']} could not be found."
            raise Refusal(404, message, (404, "Ecs.0114"))
        if route["part"] is None:
            return json_answer(
                200, {"server": {"id": server.id, "name": server.name, "status": server.status}}
            )
        if route["part"] == "detachvolume":
            return self._detach(server, str(route["volume"]), token)
        if route["volume"] is None:
            rows = [_device(server, id_, disk) for id_, disk in server.known_disks.items()]
            return json_answer(200, {"attachableQuantity": {}, "volumeAttachments": rows})
        disk = server.known_disks.get(route["volume"])
        if disk is None:
            message = f"No volume Block Device Mapping with id {route['volume']}."
            raise Refusal(404, message, (400, "Ecs.0111"))
        return json_answer(200, {"volumeAttachment": _device(server, route["volume"], disk)})

    def _detach(self, server: Server, volume_id: str, token: Token) -> Answer:
        check_role(token, "delete")
        volume = self.attachments.checked(server, server.id, volume_id, token)
        self.attachments.check_host(server)
        if not entries.begin_detaching(volume, self.behaviour.stamp()):
            raise Refusal(
                400, "The status of the data disk does not allow this operation.", (400, "Ecs.0102")
            )
        return json_answer(200, {"job_id": self.world.jobs.start(server, volume).id})

    def _job(self, job_id: str) -> Answer:
        job = self.world.jobs.jobs.get(job_id)
        kept = self.behaviour.job_kept
        if job is None or (job.ended is not None and self.behaviour.now() > job.ended + kept):
            return json_answer(404, {"code": "Common.0011", "message": f"Job {job_id} is not found."})
        return json_answer(200, self._shown(job))

    def _shown(self, job: Job) -> dict[str, Any]:
        failed = job.stage == "failed"
        ended = job.ended if job.stage in {"done", "failed"} else None
        return {
            "status": _STATUS_OF.get(job.stage, "RUNNING"),
            "entities": {"server_id": job.server_id},
            "job_id": job.id,
            "job_type": "detachVolume",
            "begin_time": self._moment(job.began),
            "end_time": None if ended is None else self._moment(ended),
            "error_code": "Ecs.0000" if failed else None,
            "fail_reason": "detach volume failed" if failed else None,
        }

    def _moment(self, seconds: float) -> str:
        return self.behaviour.stamp(seconds)[:23] + "Z"


def _device(server: Server, volume_id: str, disk: Disk) -> dict[str, Any]:
    row: dict[str, Any] = {"id": volume_id, "volumeId": volume_id, "serverId": server.id}
    row["device"] = disk.device
    if disk.boot_index is not None:
        row["bootIndex"] = disk.boot_index
    return row | {"pciAddress": "0000:02:02.0", "bus": "virtio", "size": "10"}
