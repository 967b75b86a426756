"""What a contract case works with: a project, the function, and the volume service's own word."""

from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.contract.lab import ABSENT, Disk, Lab
from tests.contract.patience import wait
from tests.contract.scenes import Stage, state
from tests.contract.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.contract.function import Answer, Function, Functions


class Home:
    """A project of a lab, the user whose password the function is given, and a deployment for it."""

    def __init__(
        self, lab: Lab, functions: Functions, role: str = "member", project_id: str | None = None
    ) -> None:
        self.lab = lab
        self.functions = functions
        self.project_id = project_id or lab.project()
        user = lab.user(self.project_id, role)
        self.user = user
        self.secret = functions.secret(
            {"username": user.name, "password": user.password, "domain": "Default"}
        )

    @cached_property
    def token(self) -> str:
        """A member's."""
        return self.lab.token(self.project_id)

    def settings(self, extra: Mapping[str, str]) -> dict[str, str]:
        common = {"DETACH_TOKEN_SECRET": self.secret}
        return {**self.lab.environment(self.project_id), **common, **extra}


class Case:
    """One case. Each ``ask`` says what the function must answer and what the cloud must say before and after.

    ``steps`` is what became of it, for the table of the cases.
    """

    def __init__(self, home: Home, steps: list[str]) -> None:
        self.home = home
        self.lab = home.lab
        self.project_id = home.project_id
        self.settings: dict[str, str] = {}
        self.steps = steps

    def ask(
        self,
        work: Any,
        expected: str,
        *volumes: tuple[Disk, str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send work to the function, deployed with the case's settings.

        ``expected`` is the HTTP status, and of each result the outcome, the error's code, in brackets the
        status that the cloud gave, and ``again`` when it may be asked again. Each volume comes with its
        state before and after: status and number of attachments.
        """
        assert self._states(volumes) == [before for _, before, _ in volumes]
        function = self._function()
        answer = function.post(work, headers)
        states = self._states(volumes)
        summary = summarize(answer, ordered="targets" in work)
        pairs = zip(volumes, states, strict=True)
        changes = [before if before == after else f"{before} → {after}" for (_, before, _), after in pairs]
        self.steps.append(f"{summary}: {_counted(changes)}" if changes else summary)
        told = f"{answer.document}\n{function.last_words()}"
        assert (summary, states) == (expected, [after for _, _, after in volumes]), told
        return answer

    def try_out(self, work: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Send work to the function, deployed with the case's settings, and expect nothing."""
        return self._function().post(work, headers)

    def kill(self) -> None:
        """End the function, deployed with the case's settings, as a host does that has crashed."""
        self.home.functions.kill(self.home.settings(self.settings))

    def _function(self) -> Function:
        return self.home.functions.get(self.home.settings(self.settings))

    def _states(self, volumes: tuple[tuple[Disk, str, str], ...]) -> list[str]:
        return [self.state(disk) for disk, _, _ in volumes]

    def state(self, disk: Disk) -> str:
        """Read a volume's state, as ``ask`` is told it."""
        look = self.lab.look(disk.volume_id)
        return "absent" if look == ABSENT else str(look)

    # What cases start from.

    def disks(self, *holders: tuple[str, ...]) -> list[Disk]:
        """Make several volumes side by side, each at the servers named."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            return list(pool.map(lambda servers: self.lab.disk(self.project_id, *servers), holders))

    def never_known(self) -> Disk:
        """Make a volume at a server that the compute service has no record of."""
        return self.lab.disk(self.project_id, str(uuid.uuid4()))

    def orphan(self) -> Disk:
        """Make a volume whose server has vanished."""
        server = self.lab.boot(self.project_id)
        disk = self.lab.disk(self.project_id, server)
        self.lab.vanish(server)
        return disk

    def at_live_server(self) -> Disk:
        """Make a volume at a running server."""
        return self.lab.disk(self.project_id, self.lab.boot(self.project_id))

    def at_stopped_server(self) -> Disk:
        """Make a volume at a server that is powered off."""
        disk = self.at_live_server()
        self.lab.stop(disk.server_id)
        return disk


class StagedCase(Case):
    """A case about the disks of a stage. States are the record, its entries, and whether a server has it."""

    def __init__(self, home: Home, stage: Stage, steps: list[str]) -> None:
        super().__init__(home, steps)
        self.stage = stage

    def state(self, disk: Disk) -> str:
        return state(self.lab, disk)

    @property
    def wire(self) -> Wire:
        """Calls of the project's own users, told in the table."""
        return Wire(self, self.home.token)

    def detaches(self, server_id: str) -> int:
        """Count the detaches on a server's own record."""
        quiet = Wire(self, self.home.token, [])
        found = quiet.servers(f"/{server_id}/os-instance-actions", version="2.51").json()["instanceActions"]
        return [action["action"] for action in found].count("detach_volume")

    def becomes(self, disk: Disk, wanted: str) -> None:
        """Wait until a volume is in a state."""
        wait(wanted, lambda: self.state(disk) == wanted)
        self.steps.append(f"then {wanted}")


def summarize(answer: Answer, *, ordered: bool) -> str:
    """Tell an answer in the words that a case expects; without an order of targets, by the alphabet."""
    results = [" ".join([result["outcome"], *_told(result["error"])]) for result in answer.results]
    parts = [str(answer.status), _counted(results if ordered else sorted(results)) or "no results"]
    if "results" in answer.document and answer.document["error"]:
        parts += ["in all:", *_told(answer.document["error"])]
    return " ".join(parts)


def _counted(parts: list[str]) -> str:
    """Join texts by commas, saying how often one comes in a row."""
    rows = [(part, len(list(same))) for part, same in itertools.groupby(parts)]
    return ", ".join(part if count == 1 else f"{part} x{count}" for part, count in rows)


def _told(error: dict[str, Any] | None) -> list[str]:
    if error is None:
        return []
    upstream = error["upstream"]
    status = [f"({upstream['status']})"] if upstream else []
    return [error["code"], *status, *(["again"] if error["retryable"] else [])]
