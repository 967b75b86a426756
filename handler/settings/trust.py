"""Which certification authorities are trusted, in the order in which the tools around us look for them.

`DETACH_CA_BUNDLE`; else the `cacert` of an `openstack:` cloud (`OS_CACERT`); else OpenSSL's own
`SSL_CERT_FILE` and `SSL_CERT_DIR`; else `REQUESTS_CA_BUNDLE`; else `CURL_CA_BUNDLE`; else the system's store,
where it has one that OpenSSL can read; else certifi's.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import NamedTuple

from handler.settings.environment import EnvironmentReader

_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # how a folder's certificates are named, for OpenSSL to find them


class Trust(NamedTuple):
    """Certificates in a file, in folders (as many as OpenSSL's path has), or both; neither: certifi's."""

    file: str | None = None
    folder: str | None = None


def read_trust(read: EnvironmentReader, of_cloud: Trust | None = None) -> Trust:
    """What the deployment trusts. A file that is named and can't be read is one of the reader's faults.

    `of_cloud` is what OpenStack's credentials say of it.
    """
    if read.text("DETACH_CA_BUNDLE"):
        return at(read.file("DETACH_CA_BUNDLE"))
    if of_cloud is not None:
        return of_cloud
    if read.text("SSL_CERT_FILE") or read.text("SSL_CERT_DIR"):
        return Trust(read.file("SSL_CERT_FILE"), _folders(read, "SSL_CERT_DIR"))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if read.text(name):
            return at(read.file(name))
    return system_store()


def at(path: str | None) -> Trust:
    """The file or the folder at a path."""
    if path is not None and Path(path).is_dir():
        return Trust(folder=path)
    return Trust(file=path)


def system_store() -> Trust:
    """The system's own store, as OpenSSL was built to find it; certifi's where there is none."""
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    try:
        filled = file.is_file() and os.access(file, os.R_OK) and file.stat().st_size > 0
        hashed = folder.is_dir() and any(_HASHED.fullmatch(path.name) for path in folder.iterdir())
    except OSError:
        return Trust()
    return Trust(str(file) if filled else None, str(folder) if hashed else None)


def _folders(read: EnvironmentReader, name: str) -> str | None:
    def parse(value: str) -> str | None:
        if not all(os.access(folder, os.R_OK) for folder in value.split(os.pathsep)):
            raise ValueError
        return value

    return read.parsed(name, None, parse, "folders that can be read")
