"""Why no answer came, in our words: what the library says can hold a URL with a proxy's password."""

from __future__ import annotations

import requests
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from handler.errors import NoAnswer


def no_answer(service: str, error: Exception) -> NoAnswer:
    """The failure that stands for what a call died of."""
    if isinstance(error, (requests.exceptions.Timeout, Urllib3TimeoutError, TimeoutError)):
        # A connection that was never made is as good as a broken one: nothing was sent
        broken = isinstance(error, requests.exceptions.ConnectTimeout)
        return NoAnswer(f"The {service} service did not answer in time.", broken=broken)
    if isinstance(error, requests.exceptions.SSLError):
        return NoAnswer(
            f"TLS with the {service} service failed ({_root(error)}); for a private CA set DETACH_CA_BUNDLE.",
            broken=False,
        )
    return NoAnswer(f"The connection to the {service} service failed ({_root(error)}).", broken=True)


def _root(error: BaseException) -> str:
    """The kind of the first cause. Its text is left out: it can hold a URL with a proxy's password."""
    while True:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else None
        inner = inner or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        inner = inner or error.__cause__ or error.__context__
        if inner is None:
            return type(error).__name__
        error = inner
