"""What OpenAPI has no words for, as checks of our own in place of those that the configuration turns off."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

_CLOUDEVENTS = ("application/cloudevents+json", "application/cloudevents-batch+json")


@schemathesis.hook
def filter_case(_ctx: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Leave out what JSON Schema can't forbid.

    An attachment_id that is the volume_id, an integer as 5.0, projects named to a deployment of one.
    """
    return not _unspeakable(case.body)


def _unspeakable(part: object) -> bool:
    if isinstance(part, dict):
        ids = part.get("volume_id"), part.get("attachment_id")
        projects = part.get("project_ids"), part.get("exclude_project_ids")
        return (
            (isinstance(ids[0], str) and ids[0] == ids[1])
            or projects != (None, None)
            or any(map(_unspeakable, part.values()))
        )
    if isinstance(part, list):
        return any(map(_unspeakable, part))
    return isinstance(part, float) and part.is_integer()


@schemathesis.check
def replies_to_events_are_events_or_empty(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    """In place of content_type_conformance and response_schema_conformance at `POST /`."""
    if (case.method.upper(), case.path) != ("POST", "/"):
        return None
    if not _is_cloudevent(case):
        content_type_conformance(ctx, response, case)
        return response_schema_conformance(ctx, response, case)
    if response.status_code == 200:
        assert response.headers["ce-type"] == ["io.github.evs-detach.result"]
        return response_schema_conformance(ctx, response, case)
    assert not response.content, "a broker takes a body that is no CloudEvent for a failed delivery"
    assert "content-type" not in response.headers
    return None


@schemathesis.check
def nothing_is_a_bug(
    _ctx: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case[Any]
) -> None:
    """In place of not_a_server_error, where the contract answers 5xx."""
    assert "internal" not in _codes(response), "a bug of the function"
    assert "x-request-id" in response.headers


def _is_cloudevent(case: schemathesis.Case[Any]) -> bool:
    headers = {name.lower() for name in case.headers}
    kind = str(case.headers.get("Content-Type") or case.media_type or "")
    return kind.partition(";")[0].strip().lower() in _CLOUDEVENTS or bool(
        headers & {"ce-id", "ce-source", "ce-type", "ce-specversion"}
    )


def _codes(response: schemathesis.Response) -> set[str]:
    try:
        body: Any = json.loads(response.content)
    except ValueError:
        return set()
    parts = [body, *body.get("results", [])] if isinstance(body, dict) else []
    return {part["error"]["code"] for part in parts if isinstance(part.get("error"), dict)}
