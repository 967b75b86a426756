"""What became of a target in words, and why not: each error once, with the volumes that met it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from handler.errors import ErrorCode
from handler.model.request import RULES
from handler.model.result import Error, ManyResult, Outcome, Result, TargetResult
from handler.model.sent import Via
from handler.terminal.account import parts_of


class Reason(NamedTuple):
    """One error, once, and the volumes that met it."""

    error: Error
    volume_ids: tuple[str, ...]

    @property
    def details(self) -> list[str]:
        """The places of the input that are wrong."""
        return [
            f"{detail.pointer or 'the whole'}: {RULES[detail.rule]}" for detail in self.error.details or ()
        ]

    @property
    def answer(self) -> str | None:
        """What the cloud itself said, and by which id its operators find that."""
        upstream = self.error.upstream
        if upstream is None:
            return None
        words = (upstream.status, upstream.code, upstream.message)
        said = " ".join(str(word) for word in words if word is not None) or "nothing"
        return f"{said} (request id {upstream.request_id})" if upstream.request_id else said


def works_of(results: Iterable[Result]) -> Iterator[Result]:
    """The result of each work, also of those that came together in one event."""
    for result in results:
        yield from (isinstance(result, ManyResult) and result.works) or (result,)


def reasons(results: Iterable[Result]) -> list[Reason]:
    """The errors of these results, in the order in which they were met."""
    met: dict[tuple[object, ...], tuple[Error, list[str]]] = {}
    for result in works_of(results):
        errors = [(part.volume_id, part.error) for part in parts_of(result)]
        if isinstance(result, ManyResult) or result.volume_id is None:
            errors.append((None, result.error))  # it was stopped as a whole
        for volume_id, error in errors:
            if error is not None:
                key = (error.code, error.message, error.details, error.upstream)
                met.setdefault(key, (error, []))[1].extend([volume_id] if volume_id else [])
    return [Reason(error, tuple(volume_ids)) for error, volume_ids in met.values()]


def verdict(part: TargetResult) -> str:
    """What became of a target in one word: its error's code, else its outcome."""
    return part.error.code.value if part.error is not None else part.outcome.value


def status(part: TargetResult) -> str | None:
    """The volume's status, before and after where that differs."""
    before, after = part.volume_status.before, part.volume_status.after
    return before if after in {None, before} else f"{before} -> {after}"


def status_and_job(part: TargetResult) -> str | None:
    """The same, and how far the cloud's own job has come, where there is one."""
    job = f"job {part.job.state}" if part.job is not None else None
    return ", ".join(filter(None, (status(part), job))) or None


def at_the_server(part: TargetResult) -> bool:
    """Whether it is about a detach from a server that lives, and not about a record alone."""
    return part.via in {Via.COMPUTE, Via.ECS} or (part.via is None and part.server.exists is True)


def way_on(part: TargetResult, asked: Collection[str]) -> str | None:
    """The command that may help where this one was refused. `asked`: settings that its options stood for."""
    from handler.actions.recover import STATES  # noqa: PLC0415 (only where something was refused)

    error = part.error
    if error is None or error.retryable:
        return None
    if (
        error.code is ErrorCode.SERVER_EXISTS
        and part.server.status in {"ACTIVE", "SHUTOFF"}
        and "DETACH_LIVE" not in asked
    ):
        return (
            f"Where the guest has let go of it: evs-detach detach {part.volume_id} "
            f"--attachment {part.attachment_id} --server {part.server.id} --live"
        )
    if (
        error.code is ErrorCode.VOLUME_STATE
        and part.volume_status.before in STATES
        and "DETACH_RECOVER" not in asked
    ):
        return f"To free it where nobody holds the disk: evs-detach detach {part.volume_id} --recover"
    return None


def follow_up(part: TargetResult) -> str | None:
    """The command that follows a detach from a live server; None where none is under way."""
    if part.outcome is not Outcome.UNCONFIRMED or not at_the_server(part):
        return None
    return (
        f"evs-detach detach {part.volume_id} --attachment {part.attachment_id} --server {part.server.id} "
        "--live --wait 5m"
    )
