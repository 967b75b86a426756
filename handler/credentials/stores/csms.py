"""`csms:NAME[@VERSION]`: a secret in Huawei Cloud's CSMS, which the KMS host serves.

API: "Querying the Secret Version and Value", "Querying a Secret", "Error Code" and "Actions Supported by
Policy-based Authorization" of the DEW API reference. (An identity policy has other words for the same:
csms:secret:getVersion, kms:cmk:decryptDataKey.) It wants a token itself: the platform's own.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from handler.cloud.faults import read_fault, upstream
from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.ending import Ending
from handler.credentials.platform_token import platform_project, platform_token
from handler.credentials.stores.base import ask_store, body_of
from handler.credentials.stores.file import decode
from handler.errors import Misconfigured, SecretUnavailable
from handler.invocation import CallContext
from handler.secret import Secret
from handler.settings import Settings
from handler.settings.secret_reference import SecretReference

_LATEST = 32503680000  # seconds since the epoch: the year 3000
_LARGEST = 262144  # bytes of an answer; a secret is 64 KiB at most
_ABSENT = frozenset({"CSMS.0005", "CSMS.0106"})
_STATES = {
    "DISABLED": "is disabled: enable it",
    "PENDING_DELETE": "is scheduled for deletion: cancel that, or name another",
    "FROZEN": "is frozen: the account may be in arrears",
}


class CsmsStore:
    """Reads one version of a secret, the latest unless the reference names another."""

    def __init__(
        self,
        setting: str,
        reference: SecretReference,
        settings: Settings,
        transport: Transport,
        runtime: str | None,
        ending: Ending,
    ) -> None:
        self._setting = setting
        self._name = reference.name
        self._version = reference.part or "latest"
        self._settings = settings
        self._transport = transport
        self._runtime = runtime
        self._ending = ending

    def read(self, context: CallContext) -> str:
        """The secret's text. Raises SecretUnavailable (retryable when it is an outage) or Misconfigured."""
        token = platform_token(context.platform, self._setting)
        answer = self._get(f"/versions/{quote(self._version, safe='')}", token, context)
        if answer.status == 200:
            metadata = body_of(answer, "version", "version_metadata")
            self._require_asked(metadata)
            self._ending.saw("version", _seconds(metadata.get("expire_time")), context.log)
            return self._value(body_of(answer, "version"))
        raise SecretUnavailable(
            self._why_not(answer, token, context),
            retryable=answer.status == 429 or answer.status >= 500,
            upstream=upstream(answer),
        )

    def _get(self, below: str, token: Secret, context: CallContext) -> Answer:
        # The function's own project: DETACH_PROJECT_ID may be one of another account
        project = platform_project(context.platform, self._runtime) or self._settings.project_id
        if project is None:
            raise Misconfigured(f"DETACH_PROJECT_ID is missing ({self._setting} names a csms: secret).")
        call = Call(
            service="csms",
            method="GET",
            url=f"{self._settings.csms_endpoint}/v1/{project}/secrets/{self._name}{below}",
            headers={"X-Auth-Token": token.reveal()},
            largest=_LARGEST,
        )
        return ask_store(self._transport, call, context)

    def _require_asked(self, metadata: dict[str, Any]) -> None:
        """Raise SecretUnavailable for an answer that does not say that it is about what was asked for."""
        named = metadata.get("secret_name") == self._name
        if not named or (self._version != "latest" and metadata.get("id") != self._version):
            raise SecretUnavailable(
                f"CSMS answered about another secret, or version, than {self._setting} names.", retryable=True
            )

    def _value(self, version: dict[str, Any]) -> str:
        text, binary = version.get("secret_string"), version.get("secret_binary")
        if isinstance(text, str) and binary is None:
            return text
        data = _decoded(binary) if isinstance(binary, str) and text is None else None
        if data is None:
            raise SecretUnavailable(
                "CSMS sent an answer that holds neither a text nor base64 data.", retryable=True
            )
        return decode(data)

    def _why_not(self, answer: Answer, token: Secret, context: CallContext) -> str:
        secret = f"The secret that {self._setting} names"
        if answer.status == 401:
            return "CSMS refuses the platform's token: check the function's agency."
        if answer.status == 403:
            return (
                f"{secret} may not be read: the function's agency needs csms:secretVersion:get and "
                "kms:dek:decrypt."
            )
        if answer.status in {400, 404}:
            # No error code says "disabled", as far as the vendor documents them: ask for the state
            about = self._get("", token, context)
            if about.status == 200:
                state = str(body_of(about, "secret").get("state"))
                return f"{secret} {_STATES.get(state, 'has no such version')}."
            if read_fault(about).code in _ABSENT:
                return f"{secret} does not exist in this project and region."
        return f"CSMS does not give the secret that {self._setting} names (it answered {answer.status})."


def _seconds(moment: object) -> float | None:
    """When a version ends, in seconds since the epoch. The vendor says both seconds and milliseconds."""
    if isinstance(moment, bool) or not isinstance(moment, int) or not 0 < moment < _LATEST * 1000:
        return None
    return moment / 1000 if moment > _LATEST else float(moment)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
