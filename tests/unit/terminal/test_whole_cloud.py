"""What the command says where all projects are looked at."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def gone(bare_cloud: Cloud, settings: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:  # noqa: ARG001
    """A live disk and an orphan in each of two projects; the orphans by project."""
    monkeypatch.setenv("DETACH_SCOPE", "cloud")
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", bare_cloud.token(role="admin"))
    found = {}
    for project_id in (bare_cloud.project_id, bare_cloud.other_project_id):
        found[project_id] = bare_cloud.add_volume(
            attachments=[str(uuid.uuid4())], project_id=project_id, name=f"disk of {project_id[:4]}"
        ).id
        server = bare_cloud.add_server(project_id=project_id)
        bare_cloud.add_volume(attachments=[server], project_id=project_id)
    return found


def result_of(printed: Printed) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(printed.readouterr().out)
    return result


@pytest.mark.parametrize(
    ("option", "others"), [("--project", False), ("--exclude-project", True)], ids=["only", "but"]
)
def test_projects_are_chosen(
    bare_cloud: Cloud, gone: dict[str, str], option: str, others: bool, capsys: Printed
) -> None:
    ours, other = bare_cloud.project_id, bare_cloud.other_project_id
    assert main(["sweep", option, other, "--json"]) == ExitCode.DONE
    kept = ours if others else other
    assert result_of(capsys)["projects"] == {kept: {"would_detach": 1}}
    assert main(["sweep", option, other, option, ours, "--apply", "--json"]) == ExitCode.DONE
    assert len(result_of(capsys)["results"]) == (0 if others else 2)
    assert {bare_cloud.volume(id_).status for id_ in gone.values()} == {"in-use" if others else "available"}


def test_where_one_project_is_looked_at_that_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("DETACH_SCOPE", "project")
    assert main(["sweep", "--project", uuid.uuid4().hex, "--json"]) == ExitCode.USAGE
    assert result_of(capsys)["error"]["details"] == [{"pointer": "/sweep/project_ids", "rule": "scope"}]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["detach", "VOLUME", "--recover"], "--recover"),
        (["sweep", "--recover", "--apply"], "--recover"),
        (["detach", "VOLUME", "--live", "--yes"], "--live"),
    ],
)
def test_what_goes_with_one_project_only_is_held_back_by_the_scope(
    gone: dict[str, str], words: list[str], option: str, bare_cloud: Cloud, capsys: Printed
) -> None:
    (volume_id, *_) = gone.values()
    words = [volume_id if word == "VOLUME" else word for word in words]
    assert main([*words, "--json"]) == ExitCode.REFUSED
    printed = capsys.readouterr()
    assert printed.err.startswith(f"DETACH_SCOPE=cloud is set, so {option} is held back and ")
    assert json.loads(printed.out)["ok"]  # without it this one is cleared by the plain rule
    assert bare_cloud.volume(volume_id).status == "available"


def test_apply_goes_with_all_projects(
    gone: dict[str, str], bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DETACH_SWEEP_DRY_RUN")
    assert main(["sweep", "--apply", "--json"]) == ExitCode.DONE
    assert {bare_cloud.volume(id_).status for id_ in gone.values()} == {"available"}


def test_what_is_set_is_named_as_it_was(
    gone: dict[str, str], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_SWEEP_DRY_RUN", "true")
    assert main(["sweep", "--apply", "--json"]) == ExitCode.REFUSED
    printed = capsys.readouterr()
    assert printed.err.startswith("DETACH_SWEEP_DRY_RUN is set, so --apply is held back")
    assert json.loads(printed.out)["summary"] == {"would_detach": len(gone)}


def test_what_is_set_and_does_not_go_with_the_scope_is_named(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_RECOVER", "on")
    assert main(["sweep", "--recover", "--json"]) == ExitCode.FAILED
    assert "DETACH_RECOVER must be off with DETACH_SCOPE=cloud" in result_of(capsys)["error"]["message"]


def test_a_table_says_whose_each_is(
    gone: dict[str, str], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["sweep", "--output", "table", "--quiet"]) == ExitCode.DONE
    assert main(["sweep", "--output", "table"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    (head,) = [line for line in lines if "VOLUME" in line]
    assert head.split()[:2] == ["PROJECT", "VOLUME"]
    for project_id, volume_id in gone.items():
        (row,) = [line for line in lines if volume_id in line]
        assert row.split()[:2] == [project_id, volume_id]


def test_a_table_of_one_project_has_no_such_column(
    bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("DETACH_SCOPE", "project")
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", bare_cloud.token())
    main(["sweep", "--output", "table"])
    assert "PROJECT" not in capsys.readouterr().out


def test_reports_and_metrics_are_by_project(gone: dict[str, str], tmp_path: Path, capsys: Printed) -> None:
    files = [tmp_path / name for name in ("r.md", "r.html", "r.csv", "m.prom")]
    words = [word for file in files[:3] for word in ("--report", str(file))]
    assert main(["sweep", "--apply", *words, "--metrics-file", str(files[3])]) == ExitCode.DONE
    capsys.readouterr()
    markdown, page, csv, metrics = (file.read_text(encoding="utf-8") for file in files)

    for project_id in gone:
        assert f"{project_id}: 1 detached" in markdown
        assert f"{project_id}: 1 detached" in page
        assert project_id in csv
        labels = f'{{command="sweep",project_id="{project_id}",outcome="detached"}}'
        assert f"evs_detach_project_targets{labels} 1" in metrics.splitlines()
    assert 'evs_detach_cleared{command="sweep"} 2' in metrics.splitlines()


def test_check_says_what_the_token_sees(bare_cloud: Cloud, capsys: Printed) -> None:
    assert main(["check", "--json"]) == ExitCode.DONE
    lines = {line["name"]: line for line in result_of(capsys)["checks"]}
    seen = lines["all projects"]
    assert seen["state"] == "ok"
    assert bare_cloud.server(seen["facts"]["server"]).project_id == bare_cloud.other_project_id
    assert bare_cloud.volume(seen["facts"]["volume"]).project_id == bare_cloud.other_project_id
    assert "uuid=" in seen["message"]
    assert "a member of the project is enough" not in lines["token"]["message"]
    assert lines["proof"]["state"] == "ok"

    bare_cloud.policies.filters_servers.clear()
    assert main(["check", "--json"]) == ExitCode.DONE
    (seen,) = [line for line in result_of(capsys)["checks"] if line["name"] == "all projects"]
    assert seen["facts"]["by_id"] is True  # the token is warm


def test_check_ends_where_the_token_sees_a_part(
    bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", bare_cloud.token())
    assert main(["check", "--json"]) == ExitCode.FAILED
    last = result_of(capsys)["checks"][-1]
    assert (last["name"], last["state"]) == ("all projects", "bad")
    assert last["facts"] == {"code": "configuration"}
    assert "it can't be proved that the token sees all projects" in last["message"]


def test_check_of_one_project_has_no_such_line(
    bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setenv("DETACH_SCOPE", "project")
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", bare_cloud.token())
    assert main(["check", "--json"]) == ExitCode.DONE
    assert "all projects" not in {line["name"] for line in result_of(capsys)["checks"]}
