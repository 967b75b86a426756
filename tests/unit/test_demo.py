"""What `make run` and `make serve` show works as it is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests import demo
from tests.embedded_cloud import Cloud
from tests.unit.pages import ROOT


def test_the_commands_that_make_run_shows_end_as_they_should(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo._run_commands(cloud, demo._vault_settings(cloud)) == 0

    said = capsys.readouterr().out
    assert said.count("$ evs-detach ") == len(demo.COMMANDS)
    assert "Usable." in said
    assert "3 detached" in said
    assert (ROOT / "build" / "demo.html").exists()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_make_serve_prints_works_in_another_terminal() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.demo", "--serve"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            assert process.stdout is not None
            printed = ""
            while "-m handler sweep" not in printed:
                line = process.stdout.readline()
                assert line, printed
                printed += line
            typed = re.sub(r"^(?!  ).*\n", "", printed, flags=re.MULTILINE)
            assert "curl" in typed
            typed = typed.replace("curl", "curl --silent --noproxy 127.0.0.1")
            bare = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("DETACH_", "VAULT_"))
            }
            ran = subprocess.run(
                ["bash", "-c", typed], cwd=ROOT, env=bare, capture_output=True, encoding="utf-8", check=False
            )
        finally:
            process.send_signal(signal.SIGINT)
            ended = process.wait(60)
    assert ran.returncode == 3, ran.stderr  # the last one's: some candidates' servers exist after all
    over_http, end = json.JSONDecoder().raw_decode(ran.stdout)
    by_file, by_command = map(json.loads, ran.stdout[end:].splitlines())
    assert [over_http["outcome"], by_file["outcome"]] == ["detached", "already_detached"]
    assert by_command["scanned"]["volumes"] > 30
    assert by_command["summary"]["would_detach"] == 9  # one less than there are: the call above cleared it
    assert ended == 0
