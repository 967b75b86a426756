"""What a command did, as reports and metrics tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from handler.cloud.endpoints import Endpoints
from handler.model.result import ManyResult, Result, TargetResult
from handler.settings import Settings
from handler.settings.scope import Scope


@dataclass(frozen=True)
class Account:
    """One run of the command.

    `words` is the command line, `began` in seconds since 1970, `seconds` what it took. `notes` is what was
    said on top: where settings are more careful than options. `settings` is None where they are wrong,
    `endpoints` where no service was asked. `token_project_id` is None where no token is at hand.
    """

    command: str
    words: str
    began: float
    seconds: float
    interrupted: bool
    notes: tuple[str, ...]
    settings: Settings | None
    endpoints: Endpoints | None
    results: tuple[tuple[str | None, Result], ...]
    token_project_id: str | None = None

    @property
    def parts(self) -> list[TargetResult]:
        """The result of each target, of all events."""
        return [part for _, result in self.results for part in parts_of(result)]

    @property
    def by_project(self) -> dict[str, Counter[str]] | None:
        """How many of each outcome there are by project; None where one project was looked at."""
        if self.settings is None or self.settings.scope is not Scope.CLOUD:
            return None
        counts: dict[str, Counter[str]] = {}
        for part in self.parts:
            counts.setdefault(part.project_id or "", Counter())[part.outcome.value] += 1
        return dict(sorted(counts.items()))

    @property
    def project_id(self) -> str | None:
        """The project that was worked at, as far as is known; None where all were.

        A target doesn't tell: the one that was looked at may be another project's, and was refused for it.
        """
        if self.by_project is not None:
            return None
        return self.token_project_id or (self.settings.project_id if self.settings else None)

    @property
    def ok(self) -> bool:
        """Whether nothing is left to look at."""
        return not self.interrupted and all(result.ok for _, result in self.results)


def parts_of(result: Result) -> Iterator[TargetResult]:
    """The targets of a result; none of one that was stopped as a whole."""
    for part in result.results if isinstance(result, ManyResult) else (result,):
        if part.volume_id is not None:
            yield part
