"""The identity service: Keystone's v3 tokens, as Huawei Cloud's IAM gives them too."""

from __future__ import annotations

import base64
import random
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.embedded_cloud import token_view
from tests.embedded_cloud.messages import Answer, Call, json_answer, request_id
from tests.embedded_cloud.token_view import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.embedded_cloud.behaviour import Behaviour

Why = Literal["valid", "absent", "unknown", "expired"]

_CREDENTIAL = re.compile(r"/v3/users/([^/]+)/application_credentials/([^/]+)")
_UNAUTHORIZED = "The request you have made requires authentication."
_EXPECTING = (
    "Expecting to find {} in {}. The server could not comply with the request since it is either malformed "
    "or otherwise incorrect. The client is assumed to be in error."
)


@dataclass(slots=True, eq=False)
class Token:
    text: str
    user_id: str
    user_name: str
    domain: str
    project_id: str | None
    role: str
    method: str
    issued_at: float
    expires_at: float
    credential: tuple[str, str] | None = None

    @property
    def methods(self) -> list[str]:
        """How it came about, the methods of what it was exchanged for before its own."""
        return self.method.split()


@dataclass(slots=True, eq=False)
class Account:
    """Someone whom tokens are issued to: a user by name, or an application credential by id.

    ``credential`` is an application credential's own name; ``ends_at`` is when it, or the password, ends.
    """

    user_id: str
    user_name: str
    domain: str
    secret: str
    projects: list[str]
    role: str
    factor: str | None = None
    failures: int = 0
    locked_until: float = 0.0
    credential: str | None = None
    ends_at: float | None = None


@dataclass(slots=True, eq=False)
class Project:
    id: str
    name: str
    domain: str = "Default"


class _Denied(Exception):
    """A request that the identity service refuses; ``extra`` goes beside the message."""

    def __init__(
        self, status: int = 401, message: str = _UNAUTHORIZED, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.extra = extra or {}


class _Half(Exception):
    """A right password where a further factor is asked for."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.user_name)
        self.account = account


class Identity:
    """Answers calls below ``/identity``, and tells the other services whose token a call carries.

    After ``lockout_after`` refused secrets in a row an account is locked for ``lockout_seconds`` on the
    cloud's clock, the right secret included: a client that tries again and again locks its owner out.
    """

    lockout_after = 5
    lockout_seconds = 300.0

    def __init__(self, behaviour: Behaviour, project_id: str, other_project_id: str) -> None:
        self.behaviour = behaviour
        self.base_url = ""
        self.project_id = project_id
        name = "demo" if behaviour.flavour == "openstack" else "cn-north-4"
        self.projects = {project_id: Project(project_id, name)}
        self.projects[other_project_id] = Project(other_project_id, f"{name}_other")
        self.tokens: dict[str, Token] = {}
        self.users: dict[tuple[str, str], Account] = {}
        self.credentials: dict[str, Account] = {}
        self.lifetime = 86400.0
        self.tokens_issued = 0

    # What tests set up.

    def issue(
        self,
        project_id: str | None = None,
        role: str = "member",
        expires_in: float = 86400,
        user: str = "tester",
        *,
        unscoped: bool = False,
    ) -> str:
        """Make a token without anybody asking, valid for ``expires_in`` seconds of the cloud's clock."""
        user_id = uuid.uuid5(uuid.NAMESPACE_DNS, user).hex
        scope = None if unscoped else project_id or self.project_id
        return self._make(user_id, user, "Default", scope, role, "password", expires_in).text

    def revoke(self, token: str) -> None:
        del self.tokens[token]

    def expire_all_tokens(self) -> None:
        for token in list(self.tokens.values()):
            token.expires_at = min(token.expires_at, self.behaviour.now() - 1)

    def add_user(
        self,
        name: str,
        password: str,
        domain: str = "Default",
        projects: Iterable[str] | None = None,
        role: str = "member",
        ends_at: float | None = None,
    ) -> str:
        """Make a user (or change one's password, which may end then, unlocking it) and give its id."""
        user_id = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{domain}").hex
        scope = [self.project_id] if projects is None else list(projects)
        for project_id in scope:
            self.projects.setdefault(project_id, Project(project_id, f"project-{project_id[:8]}", domain))
        self.users[domain, name] = Account(user_id, name, domain, password, scope, role, ends_at=ends_at)
        return user_id

    def require_factor(self, name: str, factor: str, domain: str = "Default") -> None:
        """Have a user's password alone bring no token, but a receipt (Keystone, "Multi-Factor Auth")."""
        self.users[domain, name].factor = factor

    def add_application_credential(
        self,
        project_id: str | None = None,
        role: str = "member",
        user: str = "tester",
        ends_at: float | None = None,
    ) -> tuple[str, str]:
        """Make an application credential, which may end then (epoch seconds); give its id and secret."""
        credential_id, secret = uuid.uuid4().hex, uuid.uuid4().hex + uuid.uuid4().hex
        known = self.users.get(("Default", user))
        user_id = known.user_id if known else uuid.uuid5(uuid.NAMESPACE_DNS, user).hex
        scope = [project_id or self.project_id]
        account = Account(
            user_id, user, "Default", secret, scope, role, credential=f"{user}'s", ends_at=ends_at
        )
        self.credentials[credential_id] = account
        return credential_id, secret

    # What the other services ask.

    def judge(self, call: Call) -> tuple[Token | None, Why]:
        """Say whose token a call carries, or why it is none that counts."""
        text = call.headers.get("x-auth-token")
        if not text:
            return None, "absent"
        token = self.tokens.get(text)
        if token is None:
            return None, "unknown"
        if token.expires_at <= self.behaviour.now():
            return None, "expired"
        return token, "valid"

    def bearer(self, call: Call) -> Token | None:
        return self.judge(call)[0]

    def is_service(self, call: Call) -> bool:
        token = self.tokens.get(call.headers.get("x-service-token", ""))
        return token is not None and token.role == "service" and token.expires_at > self.behaviour.now()

    def unauthorized(self) -> Answer:
        """Answer as keystonemiddleware does in front of Cinder and Nova."""
        content = {"error": {"code": 401, "title": "Unauthorized", "message": _UNAUTHORIZED}}
        challenge = f'Keystone uri="{self.base_url}/identity/v3"'
        return json_answer(401, content, ("Www-Authenticate", challenge))

    # The API.

    def answer(self, call: Call) -> Answer:
        try:
            answer = self._route(call)
        except _Half as half:
            answer = self._receipt(half.account)
        except _Denied as denied:
            title = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}[
                denied.status
            ]
            error = {"code": denied.status, "message": denied.message, "title": title, **denied.extra}
            answer = json_answer(denied.status, {"error": error})
            if denied.status == 401:
                answer.headers.append(("Www-Authenticate", f'Keystone uri="{self.base_url}/identity"'))
        answer.headers.append(("Vary", "X-Auth-Token"))
        if self.behaviour.flavour == "huawei":
            answer.headers.append(("X-IAM-Trace-Id", uuid.uuid4().hex))
        else:
            answer.headers.append(("X-Openstack-Request-Id", request_id()))
        return answer

    def _route(self, call: Call) -> Answer:
        own = _CREDENTIAL.fullmatch(call.tail)
        if own is not None and call.method == "GET":
            return self._credential_shown(own[1], own[2], call)
        if call.tail != "/v3/auth/tokens":
            raise _Denied(404, "The requested URL was not found on the server.")
        if call.method == "POST":
            token = self._issue(call.body)
            self.tokens_issued += 1
            return self._shown(201, token, call)
        if call.method in {"GET", "HEAD", "DELETE"}:
            return self._about(call)
        raise _Denied(404, "The requested URL was not found on the server.")

    def _credential_shown(self, user_id: str, credential_id: str, call: Call) -> Answer:
        asking = self.bearer(call)
        if asking is None:
            raise _Denied
        if asking.user_id != user_id:
            action = "identity:get_application_credential"
            raise _Denied(403, f"You are not authorized to perform the requested action: {action}.")
        found = self.credentials.get(credential_id)
        if found is None or found.user_id != user_id:
            raise _Denied(404, f"Could not find Application Credential: {credential_id}.")
        ends_at = None if found.ends_at is None else moment(found.ends_at).rstrip("Z")
        content = {
            "id": credential_id,
            "name": found.credential,
            "expires_at": ends_at,
            "unrestricted": False,
        }
        return json_answer(200, {"application_credential": content})

    def _about(self, call: Call) -> Answer:
        """Validate or revoke the token named in X-Subject-Token."""
        asking = self.bearer(call)
        if asking is None:
            raise _Denied
        subject = self.tokens.get(call.headers.get("x-subject-token", ""))
        if subject is None or subject.expires_at <= self.behaviour.now():
            raise _Denied(404, f"Could not find token: {call.headers.get('x-subject-token', '')}.")
        if subject.user_id != asking.user_id and asking.role not in {"admin", "service"}:
            action = "identity:validate_token"
            raise _Denied(403, f"You are not authorized to perform the requested action: {action}.")
        if call.method == "DELETE":
            self.revoke(subject.text)
            return Answer(204)
        return self._shown(200, subject, call)

    @staticmethod
    def _receipt(account: Account) -> Answer:
        receipt = {"methods": ["password"], "user": {"id": account.user_id, "name": account.user_name}}
        content = {"receipt": receipt, "required_auth_methods": [["password", account.factor]]}
        return json_answer(401, content, ("Openstack-Auth-Receipt", f"gAAAAA{uuid.uuid4().hex}"))

    def _issue(self, body: Any) -> Token:
        auth = _part(body, "auth", "request body")
        identity = _part(auth, "identity", "auth")
        methods = identity.get("methods")
        if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
            raise _Denied(400, "Invalid input for field 'identity/methods': a list of strings is required")
        if methods == ["password"]:
            claimed, secret = self._user(identity)
        elif methods == ["application_credential"]:
            claimed, secret = self._credential(identity)
            if "scope" in auth:
                detail = "Application credentials cannot request a scope."
                raise _Denied(401, f"Error authenticating with application credential: {detail}")
        elif methods == ["token"]:
            return self._exchanged(identity, auth.get("scope"))
        else:
            extra = {"identity": {"methods": ["password", "token", "application_credential"]}}
            raise _Denied(401, "Attempted to authenticate with an unsupported method.", extra)
        account = self._checked(claimed, secret)
        if account.factor is not None:
            raise _Half(account)
        scope = self._scope(auth.get("scope"), account) if methods == ["password"] else account.projects[0]
        token = self._make(
            account.user_id, account.user_name, account.domain, scope, account.role, methods[0], self.lifetime
        )
        if account.credential is not None:
            (token_of,) = [name for name, known in self.credentials.items() if known is account]
            token.credential = token_of, account.credential
        return token

    def _exchanged(self, identity: dict[str, Any], scope: Any) -> Token:
        """A token for another one, as Keystone was recorded: never prolonged, never for a delegated one."""
        former = self.tokens.get(str(_part(identity, "token", "identity").get("id")))
        if former is None:
            raise _Denied(404, "Could not recognize Fernet token")
        left = former.expires_at - self.behaviour.now()
        if left <= 0:
            raise _Denied(404, "Failed to validate token")
        if former.credential is not None:
            action = "Using a delegated token to create another token is not allowed."
            raise _Denied(403, f"You are not authorized to perform the requested action: {action}.")
        known = [user for user in self.users.values() if user.user_id == former.user_id]
        own = [former.project_id] if former.project_id else []
        scopes = known[0].projects if known else own
        user = Account(former.user_id, former.user_name, former.domain, "", scopes, former.role)
        return self._make(
            user.user_id,
            user.user_name,
            user.domain,
            self._scope(scope, user),
            user.role,
            f"{former.method} token",
            left,
        )

    def _user(self, identity: dict[str, Any]) -> tuple[Account | None, Any]:
        user = _part(_part(identity, "password", "identity"), "user", "password")
        return self._user_named(user, "password"), user.get("password")

    def _user_named(self, user: dict[str, Any], method: str) -> Account | None:
        if "id" in user:
            found = [account for account in self.users.values() if account.user_id == user["id"]]
            return found[0] if found else None
        where = f"identity/{method}/user"
        if "name" not in user:
            raise _Denied(400, f"Invalid input for field {where}: id or name must be present.")
        domain = self._domain(_part(user, "domain", "user"), f"{where}/domain")
        return self.users.get((domain, str(user["name"])))

    def _credential(self, identity: dict[str, Any]) -> tuple[Account | None, Any]:
        credential = _part(identity, "application_credential", "identity")
        if "id" in credential:
            known = self.credentials.get(str(credential["id"]))
            if known is None:
                raise _Denied(404, f"Could not find Application Credential: {credential['id']}.")
            return known, credential.get("secret")
        user = self._user_named(_part(credential, "user", "application credential"), "application_credential")
        found = [
            known
            for known in self.credentials.values()
            if user is not None
            and (known.user_id, known.credential) == (user.user_id, credential.get("name"))
        ]
        return (found[0] if found else None), credential.get("secret")

    @staticmethod
    def _domain(domain: dict[str, Any], where: str) -> str:
        if "name" not in domain and "id" not in domain:
            raise _Denied(400, f"Invalid input for field {where}: id or name must be present.")
        if "name" in domain:
            return str(domain["name"])
        return "Default" if domain["id"] == "default" else str(domain["id"])

    def _checked(self, account: Account | None, secret: Any) -> Account:
        """Compare the secret, counting failures; an unknown account looks like a wrong secret."""
        if account is None:
            raise _Denied
        now = self.behaviour.now()
        if account.locked_until > now:
            raise _Denied(401, f"The account is locked for user: {account.user_id}.")
        if account.secret != secret:
            account.failures += 1
            if account.failures >= self.lockout_after:
                account.failures, account.locked_until = 0, now + self.lockout_seconds
            raise _Denied
        account.failures = 0
        return account

    def _scope(self, scope: Any, account: Account) -> str | None:
        if scope is None or scope == "unscoped":
            return None
        project = _part(scope, "project", "scope")
        if "id" in project:
            found = self.projects.get(str(project["id"]))
        elif "name" not in project:
            raise _Denied(400, "Invalid input for field scope/project: id or name must be present.")
        else:
            # Huawei Cloud takes a project's name alone, as one account is one domain.
            if "domain" not in project and self.behaviour.flavour == "huawei":
                domain = account.domain
            else:
                domain = self._domain(_part(project, "domain", "project"), "scope/project/domain")
            of_domain = [p for p in self.projects.values() if p.domain == domain]
            found = next((p for p in of_domain if p.name == project["name"]), None)
        if found is None or found.id not in account.projects:
            raise _Denied
        return found.id

    def _make(
        self,
        user_id: str,
        user_name: str,
        domain: str,
        project_id: str | None,
        role: str,
        method: str,
        expires_in: float,
    ) -> Token:
        # A Fernet token starts like this; one of Huawei Cloud is a signed message of some kilobytes.
        prefix, size = ("gAAAAAB", 135) if self.behaviour.flavour == "openstack" else ("MIIRtwYJKoZI", 1200)
        text = prefix + base64.urlsafe_b64encode(random.randbytes(size)).decode().rstrip("=")
        now = self.behaviour.now()
        token = Token(text, user_id, user_name, domain, project_id, role, method, now, now + expires_in)
        self.tokens[text] = token
        return token

    def _shown(self, status: int, token: Token, call: Call) -> Answer:
        project = None
        if token.project_id is not None:
            project = self.projects.setdefault(token.project_id, Project(token.project_id, token.project_id))
        user = self.users.get((token.domain, token.user_name))
        content = token_view.shown(token, project, user.ends_at if user else None)
        if project is not None and "nocatalog" not in call.query:
            rows = token_view.catalogue(self.base_url, project.id, self.behaviour)
            shown = self.behaviour.catalogue(rows)
            if shown is not None:
                content["catalog"] = shown
        return json_answer(status, {"token": content}, ("X-Subject-Token", token.text))


def _part(parent: Any, name: str, where: str) -> dict[str, Any]:
    part = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(part, dict):
        raise _Denied(400, _EXPECTING.format(name, where))
    return part
