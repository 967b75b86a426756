"""What a call died of is said by its kind alone: the first cause, however the libraries wrap it."""

from __future__ import annotations

import ssl

import pytest
import requests
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from handler.cloud.no_answer import no_answer


def _wrapped(error: Exception, *, reason: object = None, cause: Exception | None = None) -> Exception:
    error.__cause__ = cause
    error.reason = reason  # type: ignore[attr-defined]
    return error


def _met_amid(error: Exception, earlier: Exception) -> Exception:
    error.__context__ = earlier
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("proxy:pw@host"), "OSError"),
        (_wrapped(OSError(), reason=BrokenPipeError()), "BrokenPipeError"),
        (_wrapped(OSError(), reason="a text, as ssl gives it"), "OSError"),
        (OSError("a text first", BrokenPipeError()), "BrokenPipeError"),
        (_wrapped(OSError(), cause=BrokenPipeError()), "BrokenPipeError"),
        (_met_amid(OSError(), BrokenPipeError()), "BrokenPipeError"),
        (_met_amid(_wrapped(OSError(), cause=BrokenPipeError()), KeyError()), "BrokenPipeError"),
        (_wrapped(OSError(KeyError()), reason=BrokenPipeError(), cause=ValueError()), "BrokenPipeError"),
        (_wrapped(OSError(BrokenPipeError()), cause=ValueError()), "BrokenPipeError"),
        (requests.ConnectionError(MaxRetryError(None, "/", ConnectionResetError())), "ConnectionResetError"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_connection_is_told_by_its_first_cause(error: Exception, kind: str) -> None:
    failure = no_answer("volume", error)

    assert failure.message == f"The connection to the volume service failed ({kind})."
    assert failure.broken


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (requests.ReadTimeout(), False),
        (requests.ConnectTimeout(), True),
        (ReadTimeoutError(None, "/", ""), False),  # type: ignore[arg-type]
        (TimeoutError(), False),
    ],
)
def test_of_those_that_took_too_long_the_one_never_made_is_a_broken_connection(
    error: Exception, broken: bool
) -> None:
    failure = no_answer("volume", error)

    assert failure.message == "The volume service did not answer in time."
    assert failure.broken is broken


def test_tls_that_failed_says_what_to_set() -> None:
    failure = no_answer("volume", requests.exceptions.SSLError(ssl.SSLCertVerificationError("proxy:pw@host")))

    assert failure.message.startswith("TLS with the volume service failed (SSLCertVerificationError);")
    assert failure.message.endswith("set DETACH_CA_BUNDLE.")
    assert not failure.broken
