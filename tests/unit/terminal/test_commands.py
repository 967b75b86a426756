"""The command line: commands, options in both places, help that costs little, and wrong words."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import requests
from click.shell_completion import ShellComplete

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from handler import NAME, __version__
from handler.__main__ import main as python_m_handler
from handler.terminal.cli import cli, main
from handler.terminal.commands import COMMANDS
from handler.terminal.exit_code import ExitCode
from handler.terminal.options import Common, Duration, OnceOption, common_options
from tests.embedded_cloud import Cloud, seed
from tests.unit.conftest import write_program
from tests.unit.deployment import EVENTS, ROOT
from tests.unit.embedded_project import EmbeddedProject

Printed = pytest.CaptureFixture[str]

AS_INSTALLED = [sys.executable, "-c", "import sys; from handler.terminal.cli import main; sys.exit(main())"]
"""What an installer writes for the entry of pyproject.toml."""


def test_what_is_installed_calls_this() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"evs-detach": "handler.terminal.cli:main"}
    assert project["name"] == NAME


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_by_examples(name: str, capsys: Printed) -> None:
    assert main([name, "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith(f"Usage: evs-detach {name} ")
    assert f"  evs-detach {name} " in said.split("Examples:")[1] or f"(evs-detach {name} " in said
    shown = [word for word in said.split() if word.startswith("--")]
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.help
            assert option.opts[0] in shown


def test_the_help_lists_the_commands_in_order(capsys: Printed) -> None:
    assert main(["-h"]) == 0
    said = capsys.readouterr().out
    listed = [line.split()[0] for line in said.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert listed == ["check", "sweep", "detach", "server", "run", "serve", "completion"]
    assert "..." not in said.split("Commands:\n")[1].split("\n\n")[0]
    assert max(map(len, said.splitlines())) <= 100


def test_help_and_version_import_nothing_heavy() -> None:
    heavy = [
        "pydantic",
        "requests",
        "flask",
        "functions_framework",
        "json",
        "handler.runtime",
        "handler.settings",
    ]
    for word in ("--help", "--version", "sweep --help"):
        code = (
            "import sys; from handler.terminal.cli import main; code = main(sys.argv[1:]);"
            f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr); sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *word.split()],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert done.stderr.strip() == "[]", word


def test_the_version_is_that_of_the_code(capsys: Printed) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"evs-detach {__version__}\n"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("swep", " Did you mean 'sweep'?"), ("deatch", " Did you mean 'detach'?"), ("xyzzy", "")],
)
def test_no_such_command(word: str, hint: str, capsys: Printed) -> None:
    assert main([word]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1] == f"Error: No such command '{word}'.{hint}"


def test_whoever_says_nothing_is_shown_what_can_be_said(capsys: Printed) -> None:
    assert main([]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: evs-detach [OPTIONS] COMMAND")


@pytest.mark.usefixtures("settings")
def test_a_first_word_that_is_no_command_is_a_file_for_python_m_handler(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"sweep": {}}', "utf-8")
    assert python_m_handler([str(event)]) == 0
    assert json.loads(capsys.readouterr().out)["scanned"]["candidates"] == 0
    assert python_m_handler(["--csv", str(event)]) == 0
    assert capsys.readouterr().out.startswith('"outcome","code",')
    assert main([str(event)]) == ExitCode.USAGE
    assert "No such command" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    event.rename("sweep")
    assert python_m_handler(["./sweep"]) == 0


@pytest.mark.usefixtures("settings")
def test_an_option_counts_before_the_command_and_after_it(project: EmbeddedProject, capsys: Printed) -> None:
    project.add_held(2)
    project.add_orphan()
    for words in (["--csv", "sweep"], ["sweep", "--csv"], ["--output", "csv", "sweep", "--quiet"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith('"outcome",')
    assert main(["--exit-code", "sweep", "--csv"]) == ExitCode.FOUND
    assert main(["--json", "sweep", "--csv"]) == ExitCode.USAGE


SAID_TWICE = [
    ["sweep", "--limit", "3", "--limit", "4"],
    ["sweep", "--min-age", "1h", "--min-age", "30m"],
    ["sweep", "--timeout", "9s", "--timeout", "8s"],
    ["--timeout", "9s", "sweep", "--timeout", "8s"],
    ["--timeout", "9s", "--timeout", "8s", "sweep"],
    ["--metrics-file", "a.prom", "sweep", "--metrics-file", "b.prom"],
    ["sweep", "--os-cloud", "one", "--os-cloud", "two"],
    ["sweep", "--output", "csv", "--output", "json"],
    ["detach", seed.ORPHAN_VOLUME, "--attachment", seed.ORPHAN_VOLUME, "--attachment", seed.LIVE_VOLUME],
    ["detach", seed.ORPHAN_VOLUME, "--server", seed.GONE_SERVER, "--server", seed.LIVE_SERVER],
    ["detach", seed.LIVE_VOLUME, "--live", "--wait", "1m", "--wait", "2m"],
    [
        "detach",
        seed.LIVE_VOLUME,
        "--not-after",
        "2030-01-01T00:00:00Z",
        "--not-after",
        "2031-01-01T00:00:00Z",
    ],
    ["serve", "--port", "1", "--port", "2"],
    ["serve", "--host", "a", "--host", "b"],
]


@pytest.mark.parametrize("words", SAID_TWICE, ids=" ".join)
def test_an_option_of_one_value_that_is_said_twice_is_wrong_usage(
    cloud: Cloud, words: list[str], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cloud, monkeypatch)
    assert main(words) == ExitCode.USAGE
    option = [word for word in words if word.startswith("--")][-1]
    assert f"Error: {option} is said more than once, and not the same" in capsys.readouterr().err
    assert not cloud.calls


def test_of_the_options_of_one_value_none_is_left_out() -> None:
    single = {
        (name, option.opts[0])
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag and not option.multiple
    }
    assert {option for _, option in single} == {
        [word for word in words if word.startswith("--")][-1] for words in SAID_TWICE
    }
    assert {
        (name, option.opts[0])
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, OnceOption)
    } == single


def test_words_are_completed_behind_what_is_wrong() -> None:
    shell = ShellComplete(cli, {}, "evs-detach", "_EVS_DETACH_COMPLETE")
    found = shell.get_completions(["sweep", "--limit", "3", "--limit", "4"], "--app")
    assert [each.value for each in found] == ["--apply"]


@pytest.mark.usefixtures("settings")
def test_what_is_said_twice_and_means_the_same_is_said_once(
    project: EmbeddedProject, capsys: Printed
) -> None:
    project.add_held(2)
    assert main(["--timeout", "60", "sweep", "--timeout", "1m", "--limit", "1", "--limit", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


@pytest.mark.usefixtures("settings")
def test_reports_before_the_command_are_written_beside_those_after_it(
    project: EmbeddedProject, tmp_path: Path
) -> None:
    project.add_held(2)
    paths = [tmp_path / name for name in ("a.md", "b.md", "c.md")]
    words = [["--report", str(path)] for path in paths]
    assert main([*words[0], "sweep", *words[1], *words[2]]) == 0
    assert all(path.exists() for path in paths)


def common(*words: str) -> Common:
    """What a command is told by these words."""
    taken: list[Common] = []

    @click.command()
    @common_options
    def command(**options: object) -> None:
        taken.append(Common.taken_from(dict(options)))

    command.main(list(words), standalone_mode=False)
    return taken[0]


def test_common_options_are_read() -> None:
    told = common("--os-cloud", "prod", "--timeout", "2m", "--report", "a.md", "--report", "b.HTML", "--json")
    assert told == Common(
        "prod", 120.0, "json", (Path("a.md"), Path("b.HTML")), None, False, False, False, False
    )
    assert common() == Common(None, None, None, (), None, False, False, False, False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1d2h3m4s", 93784),
    ],
)
def test_a_length_of_time(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "2 m", "-1", "1.5m", "2x", "m2", "\u0661"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


@pytest.mark.usefixtures("settings")
def test_the_timeout_is_the_settings(project: EmbeddedProject, capsys: Printed) -> None:
    project.cloud.latency, project.cloud.page_cap = 0.05, 1
    project.add_held(40)
    assert main(["sweep", "--timeout", "0.5s"]) == ExitCode.FAILED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "deadline_exceeded"


@pytest.mark.usefixtures("settings")
def test_a_cloud_of_clouds_yaml_is_the_secret_to_use() -> None:
    from handler.terminal.session import Session  # noqa: PLC0415

    assert Session(common("--os-cloud", "prod")).environment()["DETACH_TOKEN_SECRET"] == "openstack:prod"
    assert Session(common()).environment()["DETACH_TOKEN_SECRET"] == "env:TOKEN_OF_THE_TESTS"


def test_one_disk_is_cleared(cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    use(cloud, monkeypatch)
    words = ["--attachment", seed.ORPHAN_ATTACHMENT, "--server", seed.GONE_SERVER]
    assert main(["detach", seed.ORPHAN_VOLUME.upper(), *words, "--dry-run", "--exit-code"]) == ExitCode.FOUND
    assert json.loads(capsys.readouterr().out)["outcome"] == "would_detach"
    assert main(["detach", seed.ORPHAN_VOLUME, *words]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "detached"
    assert main(["detach", seed.LIVE_VOLUME]) == ExitCode.REFUSED
    assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"


def test_all_of_a_server_are_cleared(cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    use(cloud, monkeypatch)
    assert main(["server", seed.TWO_DISK_GONE_SERVER, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"] == {"would_detach": 2}
    assert main(["server", seed.TWO_DISK_GONE_SERVER]) == 0
    assert json.loads(capsys.readouterr().out)["summary"] == {"detached": 2}


@pytest.mark.parametrize(
    "words",
    [
        ["detach"],
        ["detach", "web-01"],
        ["detach", seed.ORPHAN_VOLUME, "--attachment", seed.ORPHAN_VOLUME],
        ["detach", seed.ORPHAN_VOLUME, seed.LIVE_VOLUME],
        ["server", ""],
        ["run"],
        ["run", "no-such-file.json"],
        ["completion", "tcsh"],
        ["serve", "--port", "0"],
        ["sweep", "--timeout", "0"],
        ["sweep", "--timeout", "4d"],
    ],
)
def test_wrong_usage_is_2_and_asks_no_cloud(
    cloud: Cloud, words: list[str], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cloud, monkeypatch)
    assert main(words) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Error: " in printed.err
    assert not cloud.calls


def test_quiet_says_only_what_is_wrong(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cloud, monkeypatch)
    assert main(["sweep", "--quiet", "--output", "table", "--volume", seed.ORPHAN_VOLUME]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["detach", seed.LIVE_VOLUME, "--quiet", "--output", "table"]) == ExitCode.REFUSED
    printed = capsys.readouterr()
    assert printed.out.startswith(f"  server_exists: {seed.LIVE_VOLUME}\n")
    assert printed.err == ""


def test_colours_are_for_a_terminal_that_wants_them(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cloud, monkeypatch)
    words = ["detach", seed.ORPHAN_VOLUME, "--dry-run", "--output", "table"]
    assert main(words) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(words) == 0
    assert "\x1b[36mwould_detach\x1b[0m" in capsys.readouterr().out
    assert main([*words, "--no-color"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(words) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_who_reads_only_the_head_ends_it_quietly(cloud: Cloud) -> None:
    environment = {**os.environ, **of(cloud)}
    python = shlex.quote(sys.executable)
    command = f"{python} -m handler run {' '.join(['events/http-dry-run.json'] * 60)} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"{"
    assert done.stderr == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("evs-detach s", {"sweep", "server", "serve"}),
        ("evs-detach sweep --a", {"--apply"}),
        ("evs-detach completion f", {"fish"}),
    ],
)
def test_bash_completes_its_words(tmp_path: Path, line: str, words: set[str]) -> None:
    write_program(tmp_path / "evs-detach", AS_INSTALLED[2])
    typed = line.split()
    wanted = f"""
    source <(evs-detach completion bash)
    COMP_WORDS=({line}); COMP_CWORD={len(typed) - 1}
    _evs_detach_completion evs-detach {typed[-1]} {typed[-2]}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", wanted], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert set(done.stdout.split()) == words, done.stderr


def test_it_serves_the_function(cloud: Cloud) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, **of(cloud), "DETACH_INVOKE_AUTH": "platform"}
    with subprocess.Popen(
        [*AS_INSTALLED, *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    ) as process:
        try:
            until = time.monotonic() + 60
            while (answer := asked(f"http://127.0.0.1:{port}/readyz")) is None and time.monotonic() < until:
                assert process.poll() is None
                time.sleep(0.2)
            form = {"volume_id": seed.ORPHAN_VOLUME}
            sent = requests.post(f"http://127.0.0.1:{port}/", json=form, timeout=60)
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert answer == {"ready": True}
    assert sent.json()["outcome"] == "detached"


def asked(url: str) -> object:
    try:
        return requests.get(url, timeout=5).json()
    except requests.ConnectionError:
        return None


def of(cloud: Cloud) -> dict[str, str]:
    return {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN_OF_THE_TESTS",
        "TOKEN_OF_THE_TESTS": cloud.token(),
    }


def use(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in of(cloud).items():
        monkeypatch.setenv(name, value)


def test_every_command_is_one_of_the_group() -> None:
    assert dict(cli.commands) == COMMANDS
    assert (EVENTS / "http-one.json").exists()


@pytest.mark.parametrize(
    ("words", "dry"),
    [
        (["sweep"], True),
        (["sweep", "--apply"], False),
        (["detach", seed.ORPHAN_VOLUME, "--dry-run"], True),
        (["detach", seed.ORPHAN_VOLUME], False),
        (["server", seed.GONE_SERVER, "--dry-run"], True),
    ],
)
def test_without_settings_a_dry_run_says_that_it_was_one(
    capsys: Printed, words: list[str], dry: bool
) -> None:
    assert main([*words, "--output", "json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["error"]["code"], result["dry_run"]) == ("configuration", dry)


@pytest.mark.parametrize(
    ("event", "dry"),
    [
        ('{"volume_id": "%s", "dry_run": true}', True),
        ('{"volume_id": "%s"}', False),
        ('{"targets": [{"volume_id": "%s"}], "dry_run": true}', True),
        ('{"targets": [{"volume_id": "%s", "dry_run": true}]}', True),
        ('{"user_event": "{\\"sweep\\": {\\"dry_run\\": true}}", "trigger_type": "TIMER"}', True),
        ('{"sweep": {}}', False),
        ("no JSON", False),
    ],
)
def test_without_settings_an_event_says_whether_it_was_a_dry_run(
    capsys: Printed, tmp_path: Path, event: str, dry: bool
) -> None:
    path = tmp_path / "event.json"
    path.write_text(event.replace("%s", seed.ORPHAN_VOLUME), "utf-8")
    assert main(["run", str(path)]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["error"]["code"], result["dry_run"]) == ("configuration", dry)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "event",
    [
        {
            "trigger_type": "TIMER",
            "user_event": json.dumps({"volume_id": seed.ORPHAN_VOLUME}),
            "dry_run": True,
        },
        {"events": [], "dry_run": True},
        {"cts": {"trace_name": "deleteServer"}, "dry_run": True},
    ],
)
def test_a_dry_run_outside_of_a_file_s_request_is_refused(
    project: EmbeddedProject, capsys: Printed, tmp_path: Path, event: dict[str, object]
) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event), "utf-8")
    assert main(["run", "--json", str(path)]) == ExitCode.USAGE
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["details"]) == (
        "invalid_request",
        [{"pointer": "/dry_run", "rule": "misplaced"}],
    )
    assert project.cloud.calls == []
