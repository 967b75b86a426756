"""What is mutated, and by which tests it is judged."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tests.mutation.operators import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]

ALL = ("",)
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "rule": {
        "handler.actions.clear": ALL,
        "handler.actions.guards": ALL,
        "handler.actions.os_detach": ALL,
        "handler.cloud.volumes": ALL,
        "handler.model.request": ALL,
        "handler.model.values": ALL,
    },
    "proof": {
        "handler.actions.proof": ALL,
        "handler.actions.early": ALL,
        "handler.actions.belonging": ALL,
        "handler.cloud.servers": ALL,
    },
    "absence": {
        "handler.cloud.absence": ALL,
        "handler.cloud.faults": ALL,
        "handler.cloud.no_answer": ALL,
        "handler.model.bounded_json": ALL,
    },
    "region and project": {
        "handler.actions.project": ALL,
        "handler.cloud.catalog": ALL,
        "handler.cloud.endpoints": ALL,
        "handler.credentials.identity_answers": ALL,
        "handler.credentials.token_auth": ALL,
        "handler.model.addresses": ALL,
    },
    "transport": {
        "handler.cloud.answer_reading": ALL,
        "handler.cloud.connection": ALL,
        "handler.cloud.dial": ALL,
        "handler.cloud.messages": ALL,
        "handler.cloud.proxies": ALL,
        "handler.cloud.redaction": ALL,
        "handler.cloud.service": ALL,
        "handler.cloud.transport": ALL,
    },
    "sweep": {
        "handler.actions.batch": ALL,
        "handler.actions.dispatch": ALL,
        "handler.actions.gone_server": ALL,
        "handler.actions.lists": ALL,
        "handler.actions.sweep_candidates": ALL,
        "handler.actions.sweep": ALL,
        "handler.cloud.paging": ALL,
        "handler.cloud.side_by_side": ALL,
    },
    "clocks": {
        "handler.credentials.caller_keys": ("CallerKeys._looked_up",),
        "handler.credentials.stores.base": ("CachedSecret.",),
        "handler.credentials.single_flight": ALL,
        "handler.credentials.token": ALL,
        "handler.invocation": ("Deadline.",),
    },
    "a live server's disk": {
        "handler.actions.follow": ALL,
        "handler.actions.live": ALL,
        "handler.cloud.detach_refusals": ALL,
        "handler.cloud.detaching": ALL,
    },
    "stuck records": {
        "handler.actions.freeing": ALL,
        "handler.actions.recover": ALL,
        "handler.actions.rolling_back": ALL,
        "handler.actions.scan": ALL,
        "handler.actions.stuck": ALL,
        "handler.cloud.entries": ALL,
    },
    "a whole cloud": {"handler.actions.sight": ALL, "handler.actions.whole_cloud": ALL},
}
"""Of each group the modules, and of each module how the qualified names begin."""

SWITCHED_ON = frozenset({"a live server's disk", "stuck records", "a whole cloud"})
"""What is off in a deployment that doesn't ask for it: judged when all else is."""

REQUIRED = (
    # An invocation's project and endpoints stay what they were, whatever becomes of the secret
    (
        "handler.actions.project:_OneProject._first",
        "self._known.setdefault(name, getattr(self._auth, name)) -> (getattr(self._auth, name))",
    ),
    # A connection on which something was not as it should be is closed
    ("handler.cloud.connection:_Timed._spoilt", "self.sock is sock -> False"),
    (
        "handler.cloud.answer_reading:_AnswerFile.close",
        "not self.closed and (self._reads.end() or self.peek(1)) -> False",
    ),
    (
        "handler.cloud.answer_reading:BoundedAnswer.begin",
        "endless or self._check_close() or not self._framed_plainly() -> (endless or self._check_close())",
    ),
    ("handler.cloud.transport:Transport._sent_by", "response.raw.close() -> pass"),
    # A clock that is set back prolongs nothing
    (
        "handler.credentials.stores.base:CachedSecret.fresh",
        "0 <= self._clock() - self._since < self._kept_for -> (self._clock() - self._since < self._kept_for)",
    ),
    (
        "handler.credentials.caller_keys:CallerKeys._looked_up",
        "0 <= now - self._looked_at < _PATIENCE -> (now - self._looked_at < _PATIENCE)",
    ),
    (
        "handler.credentials.token:SecretTokens._issue",
        (
            "0 <= self._clock() - self._refused_at < self._rest -> "
            "(self._clock() - self._refused_at < self._rest)"
        ),
    ),
)
"""Judged in every run, however few are."""

JUDGES = (
    "tests/unit/actions",
    "tests/unit/cloud",
    "tests/unit/credentials",
    "tests/unit/model",
    "tests/unit/otel/test_traces.py",
    "tests/unit/settings/test_regions.py",
    "tests/unit/settings/test_scope.py",
    "tests/unit/terminal/test_check.py",
    "tests/unit/terminal/test_stop.py",
    "tests/unit/test_invocation.py",
    "tests/unit/triggers/test_parse.py",
)

TOO_SLOW = (
    "test_answers_exchanged.py",
    "test_opt_in_machine.py",
    "test_over_http.py",
    "test_sweep_machine.py",
    "test_a_sweep_asks_once_per_page",
    "test_near_the_deadline",
)
"""Parts of names of tests that take seconds: what they show, quicker ones show as well."""


def all_mutants() -> dict[str, list[Mutant]]:
    """By group, each in the order of its sources."""
    return {
        group: [
            mutant
            for module, prefixes in modules.items()
            for mutant in mutants_of(module, source_of(module))
            if mutant.name.startswith(prefixes)
        ]
        for group, modules in GROUPS.items()
    }


@cache
def source_of(module: str) -> str:
    """A module's text, as it was on disk at first: what is run long may see it edited."""
    return path_of(module).read_text(encoding="utf-8")


def path_of(module: str) -> Path:
    """Where an import of the module leads."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise LookupError(f"{module} is named, but not there")
    return Path(found.origin)
