"""Reports of a run, fit for a ticket. A file's ending says how one is written."""

from __future__ import annotations

import io
import json
from pathlib import Path

from handler.model.result import to_json
from handler.terminal.account import Account
from handler.terminal.csv_file import write_csv
from handler.terminal.reports import markdown, page
from handler.terminal.whole_file import write_whole


def write_report(path: Path, account: Account) -> None:
    """Write a report in one step. Raises OSError."""
    write_whole(path, _WRITERS[path.suffix.lower()](account))


def _as_csv(account: Account) -> str:
    stream = io.StringIO()
    write_csv(stream, account.parts)
    return stream.getvalue()


def _as_json(account: Account) -> str:
    """The result as `--output json` has it; of several events, a list of them."""
    results = [json.loads(to_json(result)) for _, result in account.results]
    return json.dumps(results[0] if len(results) == 1 else results, indent=2) + "\n"


_WRITERS = {".md": markdown.report, ".html": page.report, ".csv": _as_csv, ".json": _as_json}
