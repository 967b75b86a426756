"""What a run leaves for Prometheus' textfile collector (node_exporter), in its text format.

Format: Prometheus documentation, "Exposition formats". All are gauges: a run is told of, not added up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from handler.model.result import ManyResult, Outcome
from handler.terminal.account import Account
from handler.terminal.exit_code import ExitCode
from handler.terminal.whole_file import write_whole

_LAST_SUCCESS = "evs_detach_last_success_timestamp_seconds"
_KEPT = re.compile(rf"^{_LAST_SUCCESS}(?:{{[^}}]*}})? (\S+)$", re.MULTILINE)
_GOOD = frozenset({ExitCode.DONE, ExitCode.FOUND})
_CLEARED = frozenset({Outcome.DETACHED, Outcome.RECOVERED})


def write_metrics(path: Path, account: Account, code: ExitCode) -> None:
    """Write them in one step: a collector never reads half a file. Raises OSError."""
    write_whole(path, exposition(account, code, _last_success(path)))


def exposition(account: Account, code: ExitCode, last_success: float | None) -> str:
    """The metrics as text. `last_success` is that of the runs before, in seconds since 1970."""
    ended = account.began + account.seconds
    success = ended if code in _GOOD else last_success
    labels = [("command", account.command), ("project_id", account.project_id)]
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels if value)
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


def _counts(account: Account) -> list[tuple[str, str, float]]:
    parts = account.parts
    swept = [result for _, result in account.results if isinstance(result, ManyResult) and result.scanned]
    candidates = sum(result.scanned.candidates for result in swept if result.scanned) if swept else len(parts)
    failed = sum(part.outcome in {Outcome.FAILED, Outcome.UNCONFIRMED} for part in parts)
    # One that was stopped as a whole: no target tells of it
    failed += sum(
        result.error is not None and result.error.code.http != 409
        for _, result in account.results
        if isinstance(result, ManyResult) or result.volume_id is None
    )
    return [
        ("candidates", "Attachments whose server was not listed, or that were asked for.", candidates),
        ("cleared", "Records that were seen cleared.", sum(part.outcome in _CLEARED for part in parts)),
        (
            "would_clear",
            "What a dry run would have cleared.",
            sum(part.outcome is Outcome.WOULD_DETACH for part in parts),
        ),
        ("refused", "Refused by a safety rule.", sum(part.outcome is Outcome.REFUSED for part in parts)),
        ("failed", "Failed, or not confirmed.", failed),
        (
            "unconfirmed",
            "Accepted by the cloud and not yet seen done: a part of the failed.",
            sum(part.outcome is Outcome.UNCONFIRMED for part in parts),
        ),
        *_stuck(swept),
    ]


def _stuck(swept: list[ManyResult]) -> Iterator[tuple[str, str, float]]:
    """How many were listed, where they were looked for."""
    counts = [result.scanned.stuck for result in swept if result.scanned and result.scanned.stuck is not None]
    if counts:
        yield "stuck", "Records that were listed in a state in which they can be stuck.", sum(counts)


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


def _last_success(path: Path) -> float | None:
    """That of the runs before, from the file that they left; None where there is none that can be read."""
    try:
        match = _KEPT.search(path.read_text("utf-8"))
        moment = float(match[1]) if match else None
    except (OSError, ValueError):
        return None
    return moment if moment is not None and 0 < moment <= time.time() else None


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
