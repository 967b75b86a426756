"""What a run leaves for Prometheus' textfile collector (node_exporter), in its text format.

Format: Prometheus documentation, "Exposition formats". All are gauges: a run is told of, not added up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from handler.model.result import ManyResult, Outcome, Result
from handler.terminal.account import Account, parts_of
from handler.terminal.exit_code import ExitCode
from handler.terminal.whole_file import write_whole

_LAST_SUCCESS = "evs_detach_last_success_timestamp_seconds"
_GOOD = frozenset({ExitCode.DONE, ExitCode.FOUND})
_CLEARED = frozenset({Outcome.DETACHED, Outcome.RECOVERED})


def write_metrics(path: Path, account: Account, code: ExitCode) -> None:
    """Write them in one step: a collector never reads half a file. Raises OSError."""
    write_whole(path, exposition(account, code, _last_success(path, account)))


def exposition(account: Account, code: ExitCode, last_success: float | None) -> str:
    """The metrics as text. `last_success` is that of the runs before, in seconds since 1970.

    What is not known is left out: a list that could not be read has not shown that there is nothing to clear.
    """
    ended = account.began + account.seconds
    success = ended if code in _GOOD else last_success
    shown = _labels(account)
    lines = []
    for name, meaning, value in (*_counts(account), *_moments(account, code, ended)):
        lines += [f"# HELP evs_detach_{name} {meaning}", f"# TYPE evs_detach_{name} gauge"]
        lines.append(f"evs_detach_{name}{{{shown}}} {value:.17g}")
    lines += _by_project(account)
    if success is not None:
        lines += [
            f"# HELP {_LAST_SUCCESS} When a run last ended with 0 or 4.",
            f"# TYPE {_LAST_SUCCESS} gauge",
            f"{_LAST_SUCCESS}{{{shown}}} {success:.17g}",
        ]
    return "\n".join(lines) + "\n"


def _labels(account: Account) -> str:
    labels = [("command", account.command), ("project_id", account.project_id)]
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels if value)


def _counts(account: Account) -> Iterator[tuple[str, str, float]]:
    parts, results = account.parts, [result for _, result in account.results]
    # Of what was ended before its targets were known, nobody knows what there was to do
    known = bool(results) and not any(map(_ended_before, results))
    if known:
        count = sum(map(_candidates_of, results))
        yield ("candidates", "Attachments whose server was not listed, or that were asked for.", count)
    yield ("cleared", "Records that were seen cleared.", sum(part.outcome in _CLEARED for part in parts))
    if known:
        would = sum(part.outcome is Outcome.WOULD_DETACH for part in parts)
        yield ("would_clear", "What a dry run would have cleared.", would)
    yield ("refused", "Refused by a safety rule.", sum(part.outcome is Outcome.REFUSED for part in parts))
    failed = sum(part.outcome in {Outcome.FAILED, Outcome.UNCONFIRMED} for part in parts)
    # One that was stopped as a whole: no target tells of it
    failed += sum(
        result.error is not None and result.error.code.http != 409
        for result in results
        if isinstance(result, ManyResult) or result.volume_id is None
    )
    yield ("failed", "Failed, or not confirmed.", failed)
    unconfirmed = sum(part.outcome is Outcome.UNCONFIRMED for part in parts)
    yield ("unconfirmed", "Accepted by the cloud and not yet seen done: a part of the failed.", unconfirmed)
    listed = [result.scanned for result in results if isinstance(result, ManyResult) and result.scanned]
    stuck = [scanned.stuck for scanned in listed if scanned.stuck is not None]
    if known and stuck:
        yield ("stuck", "Records that were listed in a state in which they can be stuck.", sum(stuck))


def _candidates_of(result: Result) -> int:
    if isinstance(result, ManyResult) and result.scanned is not None:
        return result.scanned.candidates
    return len(list(parts_of(result)))


def _ended_before(result: Result) -> bool:
    """Whether an error ended it before its targets were known."""
    if isinstance(result, ManyResult) and result.scanned is not None:
        return False
    return result.error is not None and not any(parts_of(result))


def _by_project(account: Account) -> Iterator[str]:
    """Where all projects are looked at: the targets of each."""
    counts = account.by_project
    if counts:
        yield "# HELP evs_detach_project_targets Targets by project and outcome."
        yield "# TYPE evs_detach_project_targets gauge"
    for project_id, outcomes in (counts or {}).items():
        labels = [("command", account.command), ("project_id", project_id)]
        for outcome, count in sorted(outcomes.items()):
            shown = ",".join(
                f'{name}="{_escaped(value)}"' for name, value in (*labels, ("outcome", outcome)) if value
            )
            yield f"evs_detach_project_targets{{{shown}}} {count}"


def _moments(account: Account, code: ExitCode, ended: float) -> list[tuple[str, str, float]]:
    return [
        ("duration_seconds", "How long the run took.", account.seconds),
        ("exit_code", "What the run ended with.", code),
        ("last_run_timestamp_seconds", "When the run ended.", ended),
    ]


def _last_success(path: Path, account: Account) -> float | None:
    """That of the runs before of this command at this project, from the file that they left; else None.

    None, too, where this run doesn't know at which project it was: without that label it is all projects'.
    """
    if account.project_id is None and account.by_project is None:
        return None
    sample = re.compile(rf"^{_LAST_SUCCESS}{{{re.escape(_labels(account))}}} (\S+)$", re.MULTILINE)
    try:
        match = sample.search(path.read_text("utf-8"))
        moment = float(match[1]) if match else None
    except (OSError, ValueError):
        return None
    return moment if moment is not None and 0 < moment <= time.time() else None


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
