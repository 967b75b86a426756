"""What changes the cloud is said to a person, too: before the call leaves, and after it."""

from __future__ import annotations

import re

import pytest

from tests.embedded_cloud import Call, Cloud
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.terminals import terminal

pytestmark = pytest.mark.usefixtures("settings")


def lines(said: str) -> list[str]:
    """What was written, line by line as it is seen, without looks."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    return [line.rpartition("\r")[2].strip() for line in plain.replace("\r\n", "\n").splitlines()]


@pytest.mark.parametrize("more", [[], ["--quiet"], ["--no-color"], ["--json"]])
def test_each_change_has_a_line_before_it_and_one_after(
    bare_cloud: Cloud, project: EmbeddedProject, more: list[str]
) -> None:
    volume, attachment, server = project.add_orphan()
    with terminal("detach", volume, *more, columns=250) as shown:
        said = shown.rest()
        assert shown.process.wait(30) == 0
    before, after = [line for line in lines(said) if " chang" in line]
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\dZ changing os-detach: volume {volume}, attachment {attachment}, server {server}, "
        r"proof gone",
        before,
    )
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\dZ changed  os-detach: volume {volume}: answered 202 \(req-[0-9a-f-]+\)", after
    )
    assert ("\x1b[2m  " in said) is ("--no-color" not in more)
    assert len(bare_cloud.posts()) == 1


def test_the_line_is_there_before_the_call_leaves(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume, *_ = project.add_orphan()
    seen: list[str] = []
    with terminal("detach", volume, columns=250) as shown:

        def die(call: Call) -> None:
            if call.method == "POST":
                seen.append(shown.until(lambda said: "changing os-detach" in said))
                shown.process.kill()

        bare_cloud.hook(die)
        shown.rest()
        assert shown.process.wait(30) < 0
    assert "changing os-detach" in seen[0]


def test_a_call_without_an_answer_says_so(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume, *_ = project.add_orphan()
    bare_cloud.misbehave(method="POST", drop="after")
    with terminal("detach", volume, columns=250) as shown:
        said = shown.rest()
    assert any(line.endswith(f" changed  os-detach: volume {volume}: no answer") for line in lines(said))


def test_a_dry_run_has_none(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume, *_ = project.add_orphan()
    with terminal("detach", volume, "--dry-run", columns=250) as shown:
        said = shown.rest()
    assert "chang" not in said
    assert not bare_cloud.posts()
