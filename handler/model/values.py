"""How single values are read: ids, project ids, and moments in time. One way for each."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone

_END = 253402300799.0  # the last second of the year 9999
_is_canonical = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_SPELLED = re.compile(r"\{?(?:urn:uuid:)?[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?")
_PROJECT = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
# RFC 3339's form. Cinder and Nova leave the zone out; ISO 8601 also has a comma, and +hhmm. What is read here
# is spelled out before `datetime.fromisoformat` sees it, which reads other forms on each Python.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:[.,](\d+))?(?:[Zz]|([+-]\d\d):?([0-5]\d))?",
    re.ASCII,
)
# As Cinder writes it: a long listing is full of them
_is_plain_moment = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}", re.ASCII).fullmatch
# RFC 9110, 5.6.7: what a header Date is to be; its other two forms name no zone, or their year by two digits
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
    r"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d) GMT",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONED = re.compile(r"\d{4}-\d\d-\d\d[Tt ][\d:]{8}(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def canonical(spelling: str) -> str:
    """A UUID in its canonical form, lower case with hyphens.

    From one in capitals, without hyphens, in braces or as a URN, too. Raises ValueError for anything else:
    `uuid.UUID` by itself reads what `int` does (an underscore, a sign, a blank, other digits), and makes of a
    garbled id another one, which nobody has.
    """
    if _is_canonical(spelling):  # as clouds write it: a long listing is full of them
        return spelling
    if not _SPELLED.fullmatch(spelling):
        raise ValueError("no UUID")
    return str(uuid.UUID(spelling))


def project_uuid(spelling: str) -> uuid.UUID | None:
    """The project id that a text looks like: 32 hex digits, or a UUID with its hyphens. None for a name."""
    return uuid.UUID(spelling) if _PROJECT.fullmatch(spelling) else None


def same_project(one: str, other: str) -> bool:
    """Whether two spellings are of one project."""
    return one == other or (project_uuid(one) is not None and project_uuid(one) == project_uuid(other))


def is_project(value: str) -> bool:
    """Whether a project id can stand in a path."""
    plain = value.replace("-", "").replace("_", "")
    return len(value) <= 64 and plain.isascii() and plain.isalnum()


def epoch(moment: object) -> float | None:
    """Seconds since 1970 of a moment that is written out, to the microsecond; one without a zone is in UTC.

    None for what is no such text.
    """
    if not isinstance(moment, str):
        return None
    if _is_plain_moment(moment):
        spelled = moment + "+00:00"
    else:
        match = _MOMENT.fullmatch(moment)
        if match is None:
            return None
        date, time, fraction, hours, minutes = match.groups()
        spelled = f"{date}T{time}.{(fraction or '')[:6]:0<6}{hours or '+00'}:{minutes or '00'}"
    try:
        return datetime.fromisoformat(spelled).timestamp()
    except ValueError:
        return None


def zoned_moment(moment: str) -> float | None:
    """Seconds since 1970 of a moment that RFC 3339 writes, zone included; None for any other text."""
    return epoch(moment) if _ZONED.fullmatch(moment) else None


def http_date(moment: str) -> float | None:
    """Seconds since 1970 of a header's date, which is in GMT and says so; None for any other text.

    One that names another zone, or none, is not guessed at: hours lie between what it may mean.
    """
    match = _HTTP_DATE.fullmatch(moment)
    if match is None:
        return None
    day, month, year, time = match.groups()
    return epoch(f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{time}Z")


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 writes a moment, in UTC; the nearest one that it can write."""
    moment = datetime.fromtimestamp(min(max(seconds, 0.0), _END), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
