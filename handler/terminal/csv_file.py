"""Results as CSV: a row for each target, its columns by the names that their values have in the JSON."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import NamedTuple, TextIO

from handler.model.result import TargetResult
from handler.terminal.cells import spreadsheet_cell

Value = str | int | bool | None


class Column(NamedTuple):
    """A column, by the name that its value has in the JSON."""

    name: str
    value: Callable[[TargetResult], Value]


COLUMNS = (
    Column("outcome", lambda part: part.outcome.value),
    Column("code", lambda part: part.error.code.value if part.error else None),
    Column("retryable", lambda part: part.error.retryable if part.error else None),
    Column("changed", lambda part: part.changed),
    Column("dry_run", lambda part: part.dry_run),
    Column("volume_id", lambda part: part.volume_id),
    Column("name", lambda part: part.disk.name),
    Column("size_gb", lambda part: part.disk.size_gb),
    Column("attachment_id", lambda part: part.attachment_id),
    Column("device", lambda part: part.disk.device),
    Column("attached_at", lambda part: part.disk.attached_at),
    Column("server_id", lambda part: part.server.id),
    Column("server_exists", lambda part: part.server.exists),
    Column("server_status", lambda part: part.server.status),
    Column("status_before", lambda part: part.volume_status.before),
    Column("status_after", lambda part: part.volume_status.after),
    Column("remaining_attachments", lambda part: part.remaining_attachments),
    Column("project_id", lambda part: part.project_id),
    Column("via", lambda part: part.via.value if part.via else None),
    Column("job", lambda part: part.job.id if part.job else None),
    Column("job_state", lambda part: part.job.state if part.job else None),
    Column("message", lambda part: part.error.message if part.error else None),
    Column("upstream_request_ids", lambda part: " ".join(part.upstream_request_ids) or None),
    Column("request_id", lambda part: part.request_id),
)


def write_csv(stream: TextIO, parts: Iterable[TargetResult]) -> None:
    """Write a row for each target. No cell is one that a spreadsheet would carry out."""
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow([column.name for column in COLUMNS])
    for part in parts:
        writer.writerow([spreadsheet_cell(_plain(column.value(part))) for column in COLUMNS])


def _plain(value: Value) -> Value:
    """True and false as JSON has them."""
    return str(value).lower() if isinstance(value, bool) else value
