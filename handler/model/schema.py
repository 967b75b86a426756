"""The published JSON Schemas of request and result, generated from the models.

`python -m handler.model.schema` writes them to events/schema/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema

from handler.model.request import RULES, Batch, GoneServer, Sweep, Target, schema_of
from handler.model.result import ManyResult, TargetResult

FOLDER = Path(__file__).resolve().parents[2] / "events" / "schema"

_RESULT: CoreSchema = TypeAdapter(TargetResult | ManyResult).core_schema
_LOCAL = "#/$defs/{model}"
_TEXT = {"type": "string"}
# what Target judges of two keys at once; that two texts differ is nothing a schema can say
_TOGETHER = [
    {
        "if": {"properties": {"live": {"const": True}}, "required": ["live"]},
        "then": {
            "properties": {"attachment_id": _TEXT, "server_id": _TEXT},
            "required": ["attachment_id", "server_id"],
        },
    },
    {
        "if": {"properties": {"not_after": _TEXT}, "required": ["not_after"]},
        "then": {"properties": {"live": {"const": True}}, "required": ["live"]},
    },
]


class _Generator(GenerateJsonSchema):
    """Without titles that repeat a field's name; in a result every field is always there, but `projects`.

    A request's schemas hold what only a reader wants to know as their metadata.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (the base class's signature)
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return {**super().function_before_schema(schema), **schema.get("metadata", {})}

    def typed_dict_schema(self, schema: Any) -> JsonSchemaValue:
        return {**super().typed_dict_schema(schema), **schema.get("metadata", {})}

    def typed_dict_field_schema(self, schema: Any) -> JsonSchemaValue:
        return {**super().typed_dict_field_schema(schema), **schema.get("metadata", {})}


def request_schema(references: str = _LOCAL) -> dict[str, Any]:
    """The schema of what callers send. `references` is where the definitions it refers to will stand."""
    schema = _generate(schema_of(Target, Batch, GoneServer, Sweep), "validation", references)
    schema["$defs"]["Target"]["allOf"] = _TOGETHER
    return schema


def result_schema(references: str = _LOCAL) -> dict[str, Any]:
    """The schema of what every entry point answers."""
    schema = _generate(_RESULT, "serialization", references)
    schema["$defs"]["Detail"]["properties"]["rule"]["enum"] = list(RULES)
    schema["$defs"]["ManyResult"]["required"].remove("projects")
    # One goes into a header, the other tells how the whole is settled
    for model, inside in (("Error", "retry_after"), ("ManyResult", "works")):
        del schema["$defs"][model]["properties"][inside]
        schema["$defs"][model]["required"].remove(inside)
    return schema


def _generate(models: CoreSchema, mode: JsonSchemaMode, references: str) -> dict[str, Any]:
    schema = _Generator(ref_template=references).generate(models, mode)
    schema["oneOf"] = schema.pop("anyOf")
    return schema


def documents() -> dict[str, str]:
    """The files by name, as they must stand in events/schema/."""
    files = {}
    for name, about, schema in (
        ("request", "What EVS detach takes: one of four forms, told apart by their keys.", request_schema()),
        ("result", "What EVS detach answers: one target's result, or several.", result_schema()),
    ):
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:evs-detach:{name}",
            "title": f"EVS detach {name}",
            "description": about,
        }
        files[f"{name}.schema.json"] = json.dumps({**head, **schema}, indent=2) + "\n"
    return files


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
