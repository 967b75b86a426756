"""What a contract case works with: a project, the function, and the volume service's own word."""

from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.contract.lab import ABSENT, Disk, Lab

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

    def _function(self) -> Function:
        return self.home.functions.get(self.home.settings(self.settings))

    def _states(self, volumes: tuple[tuple[Disk, str, str], ...]) -> list[str]:
        looks = [self.lab.look(disk.volume_id) for disk, _, _ in volumes]
        return ["absent" if look == ABSENT else str(look) for look in looks]

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
