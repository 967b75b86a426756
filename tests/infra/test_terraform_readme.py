"""The module's README says what the module takes and gives, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "infra" / "huaweicloud"
README = (MODULE / "README.md").read_text(encoding="utf-8")


def blocks(file: str, kind: str) -> dict[str, str]:
    """Give the bodies of a formatted file's blocks by name."""
    source = (MODULE / file).read_text(encoding="utf-8")
    found = re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', source, re.MULTILINE | re.DOTALL)
    return dict(found)


def argument(body: str, name: str) -> str | None:
    """Give the text of an argument at the block's own level, without line breaks."""
    found = re.search(rf"^  {name} += (.*?)(?=^  \w|^\n|\Z)", body, re.MULTILINE | re.DOTALL)
    return re.sub(r"\s+", " ", found[1]).strip() if found else None


def described(body: str) -> str:
    text = argument(body, "description")
    assert text is not None
    return text.strip('"').replace('\\"', '"')


def kind_of(body: str) -> str:
    """Give the type of a variable in one line: an object's attributes with commas between."""
    kind = argument(body, "type")
    assert kind is not None
    attributes = re.search(r"^  type += object\({\n(.*?)^  }\)$", body, re.MULTILINE | re.DOTALL)
    if attributes is None:
        return kind
    lines = [re.sub(r" += ", " = ", line.strip()) for line in attributes[1].splitlines()]
    return f"object({{ {', '.join(lines)} }})"


def inputs() -> list[str]:
    rows = []
    for name, body in blocks("variables.tf", "variable").items():
        default = argument(body, "default")
        shown = "required" if default is None else f"`{default}`"
        rows.append(f"| `{name}` | `{kind_of(body)}` | {described(body)} | {shown} |")
    return rows


def outputs() -> list[str]:
    return [f"| `{name}` | {described(body)} |" for name, body in blocks("outputs.tf", "output").items()]


def table(heading: str) -> list[str]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_table_of_inputs_is_the_list_of_variables() -> None:
    assert table("Inputs") == inputs(), "should be:\n" + "\n".join(inputs())


def test_the_table_of_outputs_is_the_list_of_outputs() -> None:
    assert table("Outputs") == outputs(), "should be:\n" + "\n".join(outputs())


def test_every_variable_has_a_type_and_every_open_one_a_validation() -> None:
    for name, body in blocks("variables.tf", "variable").items():
        kind = argument(body, "type")
        assert kind, name
        # a flag takes two values, and names of existing agencies are the cloud's to judge
        if kind != "bool" and name != "agencies":
            assert "\n  validation {" in f"\n{body}", name


def test_every_validation_has_a_test_that_it_refuses() -> None:
    tests = (MODULE / "tests" / "validation.tftest.hcl").read_text(encoding="utf-8")
    for name, body in blocks("variables.tf", "variable").items():
        validations = body.count("  validation {")
        refused = tests.count(f"expect_failures = [var.{name}]")
        assert refused >= validations, name


def test_what_is_private_is_marked_sensitive() -> None:
    bodies = blocks("variables.tf", "variable")
    assert [name for name, body in bodies.items() if argument(body, "sensitive") == "true"] == [
        "private_settings"
    ]
    assert not any(re.search(r"(?i)token|password|secret_text", name) for name in bodies)


def test_the_examples_use_only_what_the_module_takes() -> None:
    for main in (MODULE / "examples").rglob("main.tf"):
        given = re.findall(r"^  (\w+) +=", main.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(given) - {"source"} <= set(blocks("variables.tf", "variable"))
