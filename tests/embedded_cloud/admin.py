"""Routes below ``/admin`` by which another process looks and steers. They are not counted as calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import stuck
from tests.embedded_cloud.detach_job import Course
from tests.embedded_cloud.messages import Answer, Call, json_answer

if TYPE_CHECKING:
    from tests.embedded_cloud.cloud import Cloud
    from tests.embedded_cloud.records import Host, Server


class Admin:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def answer(self, call: Call) -> Answer:
        try:
            return self._route(call)
        except KeyError as missing:
            return json_answer(404, {"error": f"there is no {missing}"})
        except TypeError as wrong:
            return json_answer(400, {"error": str(wrong)})

    def _route(self, call: Call) -> Answer:
        match [call.method, *call.segments]:
            case ["GET", "calls"]:
                return json_answer(200, self._counts())
            case ["DELETE", "calls"]:
                self.cloud.clear_calls()
                return Answer(204)
            case ["GET", "volumes", volume_id]:
                return json_answer(200, _plain(self.cloud.volume(volume_id)))
            case ["GET", "servers", server_id]:
                return json_answer(200, _plain(self.cloud.server(server_id)))
            case ["POST", "reset"]:
                self.cloud.reset()
                return Answer(204)
            case ["POST", "misbehave"]:
                rule = self.cloud.misbehave(**(call.body or {}))
                return json_answer(201, _plain(rule))
            case ["POST", "token"]:
                return json_answer(201, {"token": self.cloud.token(**(call.body or {}))})
            case ["PATCH", "servers", server_id]:
                self._change(self.cloud.server(server_id), call.body or {})
                return Answer(204)
            case ["PATCH", "hosts", name]:
                self._change(self.cloud.host(name), call.body or {})
                return Answer(204)
            case ["PUT" | "DELETE", "cells-down", cell]:
                (self.cloud.cells_down.add if call.method == "PUT" else self.cloud.cells_down.discard)(cell)
                return Answer(204)
            case ["PUT", "course"]:
                self.cloud.jobs.course = Course(**(call.body or {}))
                return Answer(204)
            case ["PUT", "course", volume_id]:
                self.cloud.jobs.courses[volume_id] = Course(**(call.body or {}))
                return Answer(204)
            case ["POST", "stuck", row]:
                planted = stuck.plant(self.cloud.world, row)
                ids = {"server_id": planted.server_id, "attachment_id": planted.attachment_id}
                return json_answer(201, {"volume_id": planted.volume.id, **ids})
            case ["POST", "latency"]:
                self.cloud.latency = float((call.body or {})["seconds"])
                return Answer(204)
        return json_answer(404, {"error": "no such route"})

    def _change(self, record: Server | Host, wanted: dict[str, Any]) -> None:
        """Set what is named of a record, under the cloud's lock; only what it has."""
        with self.cloud.world.lock:
            for name, value in wanted.items():
                if not hasattr(record, name):
                    raise KeyError(name)
                setattr(record, name, value)

    def _counts(self) -> dict[str, Any]:
        calls = list(self.cloud.calls)
        per_method = Counter(f"{call.service} {call.method}" for call in calls)
        per_status = Counter(str(call.status) for call in calls)
        return {
            "total": len(calls),
            "by_method": dict(per_method),
            "by_status": dict(per_status),
            "posts": len(self.cloud.posts()),
            "tokens_issued": self.cloud.tokens_issued,
        }


def _plain(record: Any) -> dict[str, Any]:
    """Turn a record into what JSON can carry."""
    plain = {name: value for name, value in asdict(record).items() if not name.startswith("_")}
    plain.pop("key", None)
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in plain.items()}
