"""What changes the cloud, said to a person before it is sent and after: a command that dies leaves word."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import click

from handler.telemetry import Event
from handler.terminal.cells import printable

_CLEAR_LINE = "\r\x1b[K"  # of the bar, which is drawn anew with its next step


class ChangeLines(logging.Formatter):
    """A log's line as a line for a terminal. Its ids are whole: they are what the next look needs."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        fields: Mapping[str, object] = getattr(record, "fields", {})
        moment = time.strftime("%H:%M:%SZ", time.gmtime(record.created))
        line = f"  {moment} {record.msg:8} {fields.get('call')}: "
        if record.msg == Event.CHANGED.value:
            line += f"volume {fields.get('volume_id')}: {_answered(fields)}"
        else:
            line += ", ".join(
                f"{name.removesuffix('_id')} {fields[name]}"
                for name in ("volume_id", "attachment_id", "server_id", "proof")
                if fields.get(name) is not None
            )
        line = printable(line)
        return _CLEAR_LINE + (click.style(line, dim=True) if self._color else line)


def _answered(fields: Mapping[str, object]) -> str:
    if not fields.get("sent"):
        return "not sent"
    if fields.get("status") is None:
        return "no answer"
    request_id = fields.get("upstream_request_id")
    return f"answered {fields['status']}" + (f" ({request_id})" if request_id else "")
