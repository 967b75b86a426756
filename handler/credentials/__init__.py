"""Turns a secret reference into what signs requests: store → secret → (identity service) → token, cached.

`Credentials` is warm and shared by all threads of a process. `TokenAuth` is bound to one invocation.
`CallerKeys` checks the keys of our own callers, which are kept in the same stores.
"""

from handler.credentials.caller_keys import CallerKeys
from handler.credentials.token_auth import Credentials, TokenAuth
from handler.invocation import Platform

__all__ = ["CallerKeys", "Credentials", "Platform", "TokenAuth"]
