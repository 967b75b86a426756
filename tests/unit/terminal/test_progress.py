"""The bar: it moves while lists are read and while targets are judged, and is for people only."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import timedelta

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.deployment import ROOT
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.terminals import COMMAND, terminal

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def orphans(project: EmbeddedProject) -> list[str]:
    project.add_held(10)
    return [project.add_orphan(attached_at=timedelta(days=age))[0] for age in (9, 5, 2)]


@pytest.mark.parametrize("columns", [80, 140])
def test_it_moves_while_the_lists_are_read(bare_cloud: Cloud, orphans: list[str], columns: int) -> None:
    bare_cloud.page_cap = 2
    with terminal("sweep", "--apply", columns=columns) as shown:
        said = shown.rest()
        assert shown.process.wait(30) == 0

    assert re.search(r"pages: (\d+ of volumes, \d+ of servers|\d+ of servers, \d+ of volumes)", said)
    pages = [int(number) for number in re.findall(r"(\d+) of volumes", said)]
    assert sorted(set(pages)) == list(range(1, 8))
    assert pages == sorted(pages)
    assert "3 found, 3 to judge" in said
    assert "100%" in said
    frames = [frame for frame in said.split("\r") if "[" in frame and "]" in frame]
    assert max(len(re.sub(r"\x1b\S*?[A-Za-z]", "", frame).rstrip()) for frame in frames) <= columns
    assert "VERDICT" in said
    assert all(volume_id in said for volume_id in orphans)
    assert '"event"' not in said


def test_of_how_many_pages_where_the_cloud_says(huawei: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in huawei.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", huawei.token())
    huawei.page_cap = 10
    with terminal("sweep") as shown:
        said = shown.rest()
    volumes = huawei.world.volumes.values()
    listed = [each for each in volumes if each.status == "in-use" and huawei.project_id in each.seen_by]
    pages = -(-len(listed) // 10)
    assert pages > 3
    assert re.findall(r"(\d+/\d+) of volumes", said)[-1] == f"{pages}/{pages}"


def test_a_form_server_moves_it_too(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume_id, _, server_id = project.add_orphan()
    with terminal("server", server_id) as shown:
        said = shown.rest()
        assert shown.process.wait(30) == 0
    assert "1 of volumes" in said
    assert "1 found, 1 to judge" in said
    assert bare_cloud.volume(volume_id).status == "available"


def test_whoever_wants_the_log_or_nothing_sees_no_bar(orphans: list[str]) -> None:
    with terminal("sweep", "--verbose") as shown:
        said = shown.rest()
    assert said.count('"event": "target"') == len(orphans)
    assert "%" not in said
    with terminal("sweep", "--quiet") as shown:
        assert shown.rest() == ""


def test_a_script_sees_no_bar_and_no_log(orphans: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, "sweep", "--apply"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["summary"] == {"detached": len(orphans)}
    assert "%" not in done.stderr
    # What changes the cloud is on record all the same
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert sorted(events) == ["changed"] * len(orphans) + ["changing"] * len(orphans)
