"""What a report says, before it is Markdown or HTML: from its headline to what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from handler.errors import ErrorCode
from handler.model.result import Error, ManyResult, Outcome, Result, TargetResult
from handler.model.values import timestamp
from handler.terminal.account import Account
from handler.terminal.exit_code import ended_by_limit
from handler.terminal.reasons import Reason, at_the_server, follow_up, reasons, works_of

_WORDS = {
    (Outcome.DETACHED, False): "cleared",
    (Outcome.DETACHED, True): "detached from a live server",
    (Outcome.RECOVERED, False): "freed from a stuck state",
    (Outcome.ALREADY_DETACHED, False): "already detached",
    (Outcome.VOLUME_ABSENT, False): "gone, the volume too",
    (Outcome.WOULD_DETACH, False): "would be cleared",
    (Outcome.WOULD_DETACH, True): "would be detached from a live server",
    (Outcome.IGNORED, False): "ignored",
    (Outcome.DISPATCHED, False): "passed on to the broker",
    (Outcome.REFUSED, False): "refused by a safety rule",
    (Outcome.UNCONFIRMED, False): "accepted by the cloud, not yet seen cleared",
    (Outcome.UNCONFIRMED, True): "begun at a live server, not yet seen done",
    (Outcome.FAILED, False): "failed",
}
"""By outcome, and whether it is about a disk of a server that lives."""


def _words(part: TargetResult) -> str:
    return _WORDS.get((part.outcome, at_the_server(part))) or _WORDS[part.outcome, False]


def _works(account: Account) -> Iterator[Result]:
    return works_of(result for _, result in account.results)


_MOST_PROJECTS = 20  # that a report names


def headline(account: Account) -> str:
    """What became of it all, in one sentence."""
    counts = Counter(map(_words, account.parts))
    said = ", ".join(f"{counts[words]} {words}" for words in _WORDS.values() if counts[words])
    stopped = [work.error.code.value for work in _works(account) if not said and work.error]
    if stopped:
        return f"Nothing was judged: {', '.join(dict.fromkeys(stopped))}."
    return f"{said[:1].upper()}{said[1:]}." if said else "Nothing to do."


def dry_run(account: Account) -> bool:
    """Whether nothing was to be changed."""
    return bool(account.parts) and all(part.dry_run for part in account.parts)


def facts(account: Account) -> Iterator[tuple[str, str]]:
    """Where and when."""
    yield "Command", account.words
    yield "When", f"{timestamp(account.began)}, {account.seconds:.1f} s"
    if account.project_id:
        yield "Project", account.project_id
    if account.by_project is not None:
        yield "Projects", _projects(account.by_project)
    settings = account.settings
    if settings is not None:
        if settings.catalog.region:
            yield "Region", settings.catalog.region
        yield "Proof", f"DETACH_SERVER_CHECK={settings.server_check.value}"
    if account.endpoints is not None:
        yield "Volume service", account.endpoints.volume
        yield "Compute service", account.endpoints.compute or "not asked"
    yield "Request id", ", ".join(result.request_id for _, result in account.results)


def _projects(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Whose targets there are, the most first."""
    most = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    said = [
        f"{name or '(unknown)'}: "
        + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts[name].items()))
        for name in most[:_MOST_PROJECTS]
    ]
    if len(most) > _MOST_PROJECTS:
        said.append(f"{len(most) - _MOST_PROJECTS} more")
    return "; ".join(["all were looked at", *said])


def scanned(account: Account) -> list[tuple[str, int]]:
    """What sweeps looked through; empty where nothing was listed."""
    totals: Counter[str] = Counter()
    for _, result in account.results:
        if isinstance(result, ManyResult) and result.scanned is not None:
            found = result.scanned
            totals.update(volumes=found.volumes, servers=found.servers, candidates=found.candidates)
            totals.update({} if found.stuck is None else {"stuck records": found.stuck})
            totals.update(
                {f"left alone: {why.replace('_', ' ')}": count for why, count in vars(found.skipped).items()}
            )
    always = ("volumes", "servers", "candidates")
    return [(name, count) for name, count in totals.items() if count or name in always]


def why_not(account: Account) -> list[Reason]:
    """Each error once."""
    return reasons(result for _, result in account.results)


def request_ids(account: Account) -> list[str]:
    """The cloud's own ids of the calls, which its operators ask for."""
    ids = [each for part in account.parts for each in part.upstream_request_ids]
    ids += [
        reason.error.upstream.request_id
        for reason in why_not(account)
        if reason.error.upstream and reason.error.upstream.request_id
    ]
    return list(dict.fromkeys(ids))


def next_steps(account: Account) -> list[str]:
    """What to do next, the most urgent first."""
    return list(_next_steps(account)) or ["Nothing: there is nothing left to do."]


def _under_way(account: Account, errors: Sequence[Error]) -> Iterator[str]:
    """What to do about what is begun and not seen done, or was left half done."""
    for command in filter(None, map(follow_up, account.parts)):
        yield f"Follow the detach that is under way, which sends nothing new: {command}"
    if any(part.outcome is Outcome.UNCONFIRMED and not at_the_server(part) for part in account.parts):
        yield "Ask again in a minute for what is not yet seen cleared: already_detached means that it is."
    codes = {error.code for error in errors}
    if ErrorCode.GUEST_REFUSED in codes:
        yield "Have the guest let go of the disk (unmount, swapoff, LVM, RAID), then detach it again."
    if ErrorCode.NOT_RECOVERED in codes:
        yield "Look at server and disk where the cloud left it half done: nothing goes on by itself."


def _next_steps(account: Account) -> Iterator[str]:
    errors: Sequence[Error] = [reason.error for reason in why_not(account)]
    counts = Counter(part.outcome for part in account.parts)
    if account.interrupted:
        yield "It was interrupted: run it again, which is always safe."
    yield from _under_way(account, errors)
    if any(error.retryable for error in errors):
        yield "Run it again in a few minutes: some of it may pass by itself."
    if any(error.code.http == 409 and not error.retryable for error in errors):
        yield "Read under “Why not” what stands against the refused ones; asking again alone changes nothing."
    if any(error.code.http not in {400, 409} and not error.retryable for error in errors):
        yield "Mend what “Why not” names; with the request ids, the cloud's operators find their side of it."
    if any(error.code is ErrorCode.INVALID_REQUEST for error in errors):
        yield "Correct the event at the places that “Why not” names."
    if counts[Outcome.WOULD_DETACH]:
        number = counts[Outcome.WOULD_DETACH]
        yield f"Look at the {number} that would be cleared; if they are right, {_in_earnest(account)}."
    yield from _passed_on(account)
    works = list(_works(account))
    if any(map(ended_by_limit, works)):
        yield "The limit ended it: run it again for the rest."
    if any(map(_out_of_time, works)):
        yield "Not all was done for lack of time: run it again, with a longer --timeout."


def _in_earnest(account: Account) -> str:
    """How what was a dry run is done."""
    setting = "DETACH_SWEEP_DRY_RUN"
    if account.command == "sweep":
        if "--apply" in account.words.split():
            return f"unset {setting}, which holds --apply back, and run it again"
        return f"run it again with --apply (where {setting} is set, unset it first)"
    swept = any(isinstance(work, ManyResult) and work.scanned for work in _works(account))
    by_setting = swept and account.settings is not None and account.settings.sweep.dry_run
    return f"run it again without its dry run{f', with {setting}=false' if by_setting else ''}"


def _passed_on(account: Account) -> Iterator[str]:
    """Where to look for what became of candidates that a broker was sent."""
    passed_on = Counter(part.dry_run for part in account.parts if part.outcome is Outcome.DISPATCHED)
    if passed_on[True]:
        yield (
            f"The log of whoever the broker gives them to says which of the {passed_on[True]} passed on "
            f"would be cleared; if they are right, {_in_earnest(account)}."
        )
    if passed_on[False]:
        yield (
            f"The log of whoever the broker gives them to says what became of the {passed_on[False]} passed "
            "on; the next sweep finds what is left."
        )


def _out_of_time(work: Result) -> bool:
    """Whether something was left undone for lack of time, and not by its limit or for want of a list."""
    if isinstance(work, TargetResult):
        return work.error is not None and work.error.code is ErrorCode.DEADLINE_EXCEEDED
    if any(map(_out_of_time, work.results)):
        return True
    if work.error is not None:
        return work.error.code is ErrorCode.DEADLINE_EXCEEDED
    return not work.complete and not ended_by_limit(work)
