"""One JSON line per thing that happened, on standard output, under fixed event names.

A line holds ids, codes, counts and durations. It never holds a token, a key, a header or a body.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from handler import NAME, __version__
from handler.errors import MENDED, DeadlineExceeded, ErrorCode, Failure, Internal

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    _StreamHandler = logging.StreamHandler  # Python 3.10 has no type parameter here

_SERVICE = {"service_name": NAME, "service_version": __version__}

_LOGGER = logging.getLogger("evs_detach")


class Event(str, Enum):
    """The names of what is logged. They are as stable as the error codes."""

    INVOCATION = "invocation"
    TARGET = "target"
    CALL = "call"
    CHANGING = "changing"
    CHANGED = "changed"
    RETRY = "retry"
    TOKEN_BOUGHT = "token_bought"
    TOKEN_REFUSED = "token_refused"
    TOKEN_KEPT = "token_kept"
    TOKEN_UNVERIFIED = "token_unverified"
    ENDPOINTS_TRUSTED = "endpoints_trusted"
    ENDPOINTS_WITNESSED = "endpoints_witnessed"
    CLOUD_SEEN = "cloud_seen"
    SECRET_READ = "secret_read"
    SECRET_ENDS = "secret_ends"
    CALLER_REFUSED = "caller_refused"
    SETTINGS_WRONG = "settings_wrong"
    RECORD_UNREADABLE = "record_unreadable"
    LISTED_BY_MARKER = "listed_by_marker"
    SWEEP_LISTED = "sweep_listed"
    SWEEP_REFUSED = "sweep_refused"
    RUN = "run"
    EXPORT_FAILED = "export_failed"
    INTERNAL_ERROR = "internal_error"


def ended_by_host(error: BaseException) -> bool:
    """Whether functions-framework ended this thread by its own time limit (`THREADED_TIMEOUT_ENABLED`)."""
    framework = sys.modules.get("functions_framework.exceptions")
    return framework is not None and isinstance(error, framework.RequestTimeoutException)


class _Record(logging.LogRecord):
    """What is logged.

    Without what no line of ours tells: to look for thread, process and file takes as long as to write it.
    """

    def __init__(self, level: int, event: Event, fields: Mapping[str, Any]) -> None:
        created = time.time()
        self.__dict__.update(
            _UNTOLD,
            name=_LOGGER.name,
            levelno=level,
            levelname=logging.getLevelName(level),
            msg=event.value,
            created=created,
            msecs=created % 1 * 1000,
            fields=fields,
        )


_UNTOLD = {**vars(logging.makeLogRecord({})), "process": None, "thread": None, "threadName": None}

_as_json = json.JSONEncoder(default=str).encode


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "event": record.msg,
            **_SERVICE,
        }
        line.update(getattr(record, "fields", {}))
        return _as_json(line)


class _Lines(_StreamHandler):
    """Writes lines. One that can't be written stops nothing: the work is worth more than its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say so on standard error, if that can be written to."""
        with contextlib.suppress(Exception):
            super().handleError(record)


class _StandardOutput(_Lines):
    """Writes to whatever sys.stdout is at that moment: hosts and tests replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, value: Any) -> None:
        raise AttributeError(value)


def configure(level: str, stream: Any | None = None, written: logging.Formatter | None = None) -> None:
    """Set the level, and write each line once, whatever handlers the host put on the root logger.

    The terminal hands in standard error, since its standard output belongs to the result, and how a line is
    `written` where a person reads it.
    """
    handler = _StandardOutput() if stream is None else _Lines(stream)
    handler.setFormatter(written or _JsonLines())
    _LOGGER.handlers[:] = [handler]
    _LOGGER.setLevel(level)
    _LOGGER.propagate = False


def ensure_configured() -> None:
    """Write at level INFO where no level is set yet: it is a setting, and settings may be unreadable."""
    if not _LOGGER.handlers:
        configure("INFO")


Listener = Callable[[int, Event, Mapping[str, Any]], None]
_listeners: list[Listener] = []


def listen(listener: Listener | None) -> None:
    """Have all that is said heard, too, whatever level is written; None: by nobody. It must not raise."""
    _listeners[:] = [] if listener is None else [listener]


class Ended(Protocol):
    """Why something did not get through: a failure, or what a result says of one."""

    @property
    def code(self) -> ErrorCode:
        """Its code."""

    @property
    def retryable(self) -> bool:
        """Whether it may pass by itself."""


class Log(NamedTuple):
    """A logger that adds the same fields (request id, trigger) to every line."""

    bound: Mapping[str, Any] = MappingProxyType({})

    def bind(self, **fields: Any) -> Log:
        """The same logger with more fields on each line."""
        return Log({**self.bound, **fields})

    def debug(self, event: Event, **fields: Any) -> None:
        """For whoever follows single calls."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: Event, **fields: Any) -> None:
        """Something happened as it should."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: Event, **fields: Any) -> None:
        """Something happened that an operator may want to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: Event, **fields: Any) -> None:
        """Something is broken until somebody fixes it."""
        self._write(logging.ERROR, event, fields)

    def ended(self, failure: Ended | None, *, ok: bool) -> Callable[..., None]:
        """What writes how something ended: an error where it ends so until somebody mends something."""
        if ok:
            return self.info
        return self.error if failure and failure.code in MENDED and not failure.retryable else self.warning

    def always(self, event: Event, **fields: Any) -> None:
        """What has to be on record whatever the level: a change at the cloud, before it is made and after."""
        _LOGGER.handle(_Record(logging.INFO, event, {**self.bound, **fields}))

    def bug(self, error: BaseException) -> Failure:
        """Log an unforeseen exception, and give the failure that stands for it.

        Its type and frames are logged; its text is not, since it may quote what it choked on. The host's own
        time-out, which is raised from outside at whatever line its thread has come to, is no bug.
        """
        if ended_by_host(error):
            return DeadlineExceeded("The host's own time for this call was up, and it ended it. Ask again.")
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        self._write(logging.ERROR, Event.INTERNAL_ERROR, {"error": type(error).__name__, "traceback": frames})
        return Internal()

    def _write(self, level: int, event: Event, fields: dict[str, Any]) -> None:
        for listener in _listeners:
            listener(level, event, fields)
        if _LOGGER.isEnabledFor(level):
            _LOGGER.handle(_Record(level, event, {**self.bound, **fields}))
