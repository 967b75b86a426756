"""`file:PATH`: a secret in a file, such as a mounted Kubernetes Secret.

Kubernetes rotates one by swapping the symlink `..data` above it ("Secrets", mounted Secrets are updated
automatically). So the path is opened anew each time, and never kept open or resolved beforehand.
"""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Callable
from pathlib import Path

from handler.credentials.stores.base import LARGEST_SECRET
from handler.errors import SecretUnavailable
from handler.invocation import CallContext
from handler.settings.secret_reference import SecretReference

_PAUSES = (0.02, 0.08, 0.2)  # seconds that a writer may take between emptying a file and filling it


class FileStore:
    """Reads the file each time, through whatever symlinks lead to it then."""

    def __init__(
        self, setting: str, reference: SecretReference, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._setting = setting
        self._path = reference.name
        self._sleep = sleep

    def read(self, context: CallContext) -> str:
        """The file's text. Raises SecretUnavailable, retryable where the disk is at fault."""
        data = read_file(self._path, self._setting)
        for pause in _PAUSES:
            if data or pause >= context.deadline.remaining():
                break
            self._sleep(pause)
            data = read_file(self._path, self._setting)
        return decode(data)


def decode(data: bytes) -> str:
    """The bytes as text. What is no UTF-8 comes out as lone surrogates, which `is_text` finds."""
    return data.decode("utf-8-sig", errors="surrogateescape")


def read_file(path: str, setting: str) -> bytes:
    """The bytes of a regular file of bounded size, for the setting that names it."""
    try:
        regular = stat.S_ISREG(Path(path).stat().st_mode)
        if regular:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST_SECRET + 1)
    except (OSError, ValueError) as error:
        failure = _unreadable(error, setting)
    else:
        if not regular:
            raise SecretUnavailable(f"{setting} names something that is not a regular file.")
        if len(data) > LARGEST_SECRET:
            raise SecretUnavailable(f"{setting} names a file of more than {LARGEST_SECRET} bytes.")
        return data
    raise failure


def _unreadable(error: OSError | ValueError, setting: str) -> SecretUnavailable:
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOENT, errno.ENOTDIR}:
        return SecretUnavailable(f"{setting} names a file that does not exist.")
    if number in {errno.EACCES, errno.EPERM}:
        return SecretUnavailable(f"{setting} names a file that this process may not read.")
    if number is None or number in {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}:
        return SecretUnavailable(f"{setting} names no possible file.")
    name = errno.errorcode.get(number, "unknown")
    return SecretUnavailable(f"{setting} names a file that could not be read ({name}).", retryable=True)
