"""`vault:MOUNT/PATH[#FIELD]`: a secret in a KV engine, version 2, of HashiCorp Vault or OpenBao.

A mount that has slashes itself ends at a double one: `vault:MOUNT//PATH[#FIELD]`.

API: "KV secrets engine - version 2 (API)" (read secret version), "Kubernetes auth method (API)" (login), and
"High availability mode" (a standby that doesn't forward answers 307).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from handler.cloud.faults import upstream
from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.secret_content import as_token, is_token
from handler.credentials.stores.base import ask_store, body_of
from handler.credentials.stores.file import decode, read_file
from handler.errors import Misconfigured, SecretUnavailable, Upstream
from handler.invocation import CallContext
from handler.secret import Secret
from handler.settings.secret_reference import SecretReference
from handler.settings.vault import VaultSettings

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes puts a pod's own token, which it rotates."""

_LARGEST = 1048576  # bytes: the most that Vault stores under one path by default
_STANDBY = 307
_EARLY = 0.9  # of a login's lease, after which another is made


class VaultStore:
    """Reads the latest version. Its own token is given, in a file, or had by logging in with a role."""

    def __init__(
        self,
        setting: str,
        reference: SecretReference,
        vault: VaultSettings,
        transport: Transport,
        clock: Callable[[], float],
        service_account: str,
    ) -> None:
        self._setting = setting
        self._url = f"{vault.address}/v1/{quote(reference.mount or '')}/data/{quote(reference.name)}"
        self._field = reference.part
        self._vault = vault
        self._transport = transport
        self._clock = clock
        self._service_account = service_account
        self._login: tuple[Secret, float] | None = None

    def read(self, context: CallContext) -> str:
        """The field's text, or all fields as JSON. Raises SecretUnavailable (retryable: an outage)."""
        known = self._login
        answer = self._get(context)
        if answer.status == 403 and known is not None and self._login is known:
            self._login = None
            answer = self._get(context)
        if answer.status != 200:
            raise _failed(answer, self._why_not(answer))
        fields = body_of(answer, "data").get("data")
        if not isinstance(fields, dict):
            # Of the other version it is the secret itself, so that no word of it is quoted
            raise SecretUnavailable(
                f"{self._setting} names a path that is not of a KV engine, version 2.",
                upstream=Upstream(answer.status, None, None, answer.request_id),
            )
        return self._chosen(fields)

    def _chosen(self, fields: dict[str, Any]) -> str:
        if self._field is not None:
            if self._field not in fields:
                raise SecretUnavailable(f"{self._setting} names a field that the secret doesn't have.")
            return self._text(fields[self._field])
        return self._text(next(iter(fields.values())) if len(fields) == 1 else fields)

    def _text(self, value: Any) -> str:
        """A text itself, several as JSON."""
        if isinstance(value, (dict, list)):
            return json.dumps(value)
        if not isinstance(value, str):
            raise SecretUnavailable(f"{self._setting} names a field that is not a text.")
        return value

    def _get(self, context: CallContext) -> Answer:
        token = self._token(context)
        headers = self._headers({"X-Vault-Token": token.reveal()})
        call = Call(
            service="vault",
            method="GET",
            url=self._url,
            headers=headers,
            largest=_LARGEST,
            secrets=(token.reveal(),),
            trust=self._vault.trust,
        )
        return ask_store(self._transport, call, context)

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        namespace = self._vault.namespace
        if namespace is None:
            return dict(headers)
        if not is_token(namespace):
            raise Misconfigured("VAULT_NAMESPACE is not the path of a namespace.")
        return {**headers, "X-Vault-Namespace": namespace}

    def _token(self, context: CallContext) -> Secret:
        if self._vault.token is not None:
            return as_token(self._vault.token.reveal(), "VAULT_TOKEN")
        if self._vault.token_file is not None:
            data = read_file(self._vault.token_file, "VAULT_TOKEN_FILE")
            return as_token(decode(data).strip(), "What VAULT_TOKEN_FILE holds")
        if self._login is None or self._clock() >= self._login[1]:
            self._login = self._log_in(context)
        return self._login[0]

    def _log_in(self, context: CallContext) -> tuple[Secret, float]:
        """A token by the pod's service account, and until when to use it (seconds since the epoch)."""
        jwt = decode(read_file(self._service_account, "VAULT_ROLE (by the pod's service account)")).strip()
        call = Call(
            service="vault",
            method="POST",
            url=f"{self._vault.address}/v1/auth/{quote(self._vault.kubernetes_mount)}/login",
            body=json.dumps({"role": self._vault.role, "jwt": jwt}).encode(),
            headers=self._headers({}),
            secrets=(jwt,) if jwt else (),
            trust=self._vault.trust,
        )
        answer = ask_store(self._transport, call, context)
        if answer.status != 200:
            raise _failed(
                answer,
                _outage(answer)
                or "Vault refuses the login with VAULT_ROLE: check that the auth method is mounted where "
                "VAULT_K8S_MOUNT says, and that the role exists and is bound to the pod's service account "
                "and namespace.",
            )
        login = body_of(answer, "auth")
        token, lease = login.get("client_token"), login.get("lease_duration")
        if not (isinstance(token, str) and is_token(token) and isinstance(lease, int)):
            raise SecretUnavailable("Vault answered the login with what can't be read.", retryable=True)
        # A lease of 0 is one that does not end
        return Secret(token), self._clock() + lease * _EARLY if lease > 0 else float("inf")

    def _why_not(self, answer: Answer) -> str:
        outage = _outage(answer)
        if outage:
            return outage
        if answer.status == 403:
            return (
                f"Vault doesn't permit reading what {self._setting} names: check the policy (read on "
                "MOUNT/data/PATH), and whether Vault's own token has expired."
            )
        if answer.status == 404:
            metadata = body_of(answer, "data", "metadata")
            if metadata:
                gone = "destroyed" if metadata.get("destroyed") else "deleted"
                return f"The latest version of what {self._setting} names is {gone}: write a new one."
            if body_of(answer).get("warnings"):
                return f"{self._setting} names a path that is not of a KV engine, version 2."
            return f"{self._setting} names a path that Vault doesn't have: check mount, path and namespace."
        return f"Vault does not give what {self._setting} names (it answered {answer.status})."


def _outage(answer: Answer) -> str | None:
    errors = body_of(answer).get("errors")
    if answer.status == 503 and any("sealed" in str(error) for error in errors or ()):
        return "Vault is sealed: it gives nothing until it is unsealed."
    if answer.status == _STANDBY:
        return (
            "A standby of Vault answered, and names the active node instead of asking it (a redirect, never "
            "followed): set VAULT_ADDR to the active node, or to what stands in front of all."
        )
    return f"Vault is unavailable (it answered {answer.status})." if _is_outage(answer) else None


def _is_outage(answer: Answer) -> bool:
    # 412: a replica that is behind; 472 and 473: one that serves nobody ("HTTP API", status codes)
    return answer.status >= 500 or answer.status in {_STANDBY, 412, 429, 472, 473}


def _failed(answer: Answer, message: str) -> SecretUnavailable:
    return SecretUnavailable(message, retryable=_is_outage(answer), upstream=upstream(answer))
