"""Reports: what they say, that they load nothing, and that nothing in them is taken for markup."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from handler.cloud.endpoints import Endpoints
from handler.errors import Detail, ErrorCode, TokenRejected
from handler.model.disk import Disk
from handler.model.result import Outcome, Result, Scanned, Skipped
from handler.model.sent import Via
from handler.settings import read_settings
from handler.terminal.account import Account
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.reports import content, write_report
from handler.terminal.reports.assets import STYLE
from tests.embedded_cloud import Cloud, seed
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.results import (
    FAILED,
    FOLLOWED,
    HALF_DONE,
    PASSING,
    RECOVERED,
    REFUSED,
    UNCONFIRMED,
    UNDER_WAY,
    WOULD,
    many,
    one,
    refusal,
)

SETTINGS = read_settings({"DETACH_REGION": "cn-north-4", "DETACH_TOKEN_SECRET": "env:T"}, network=False)
ENDPOINTS = Endpoints("https://volume.example/v3", "https://compute.example/v2.1", None)
HOSTILE = "<img src=x onerror=alert(1)> | `x` [y](http://z) www.z @all \x1b[2J\u202e"


def account(*results: Result, command: str = "sweep", interrupted: bool = False, **other: object) -> Account:
    known = Account(
        command,
        f"evs-detach {command}",
        1767323045.0,
        2.5,
        interrupted,
        (),
        SETTINGS,
        ENDPOINTS,
        (),
        seed.PROJECT,
    )
    return replace(known, results=tuple((None, each) for each in results), **other)  # type: ignore[arg-type]


class _Page(HTMLParser):
    """The tags of a page, and what is written in it by the tag around it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1][0] if self.tags else "", []).append(data)


def page(*results: Result, folder: Path, **other: object) -> tuple[str, _Page]:
    path = folder / "report.html"
    write_report(path, account(*results, **other))  # type: ignore[arg-type]
    text, read = path.read_text("utf-8"), _Page()
    read.feed(text)
    return text, read


SEVERAL = many(
    one(),
    REFUSED,
    PASSING,
    UNCONFIRMED,
    FAILED,
    complete=False,
    scanned=Scanned(12840, 9120, 31, skipped=Skipped(over_limit=20)),
)


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    text, read = page(SEVERAL, folder=tmp_path)
    assert "http://" not in text.replace(STYLE, "").replace("http://127", "")
    for tag, attributes in read.tags:
        assert not {"src", "href", "style", "srcset", "action", "background"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert tag not in {"link", "img", "iframe", "object", "form", "base"}
    (policy,) = [
        told["content"] for tag, told in read.tags if told.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_the_page_says_all_there_is(tmp_path: Path) -> None:
    text, read = page(SEVERAL, folder=tmp_path, notes=("a note on top",))
    said = " ".join(part for parts in read.texts.values() for part in parts)
    for expected in (
        "1 cleared, 2 refused by a safety rule, 1 accepted by the cloud, not yet seen cleared, 1 failed.",
        "a note on top",
        "cn-north-4",
        "https://volume.example/v3",
        seed.PROJECT,
        "12,840",
        "left alone: over limit",
        "it lives",
        "404 itemNotFound no (request id req-9)",
        "in-use → available",
        "/dev/vdb since 2026-01-02 03:04 UTC",
        "req-1",
        "The limit ended it: run it again for the rest.",
    ):
        assert expected in said, expected
    assert '<header class="bad">' in text
    assert read.texts["title"][0] == "EVS detach: sweep, 2026-01-02T03:04:05Z"
    assert [tag for tag, told in read.tags if tag == "meta" and told.get("name") == "viewport"]
    assert "prefers-color-scheme: dark" in STYLE
    assert "@media print" in STYLE


def test_a_row_is_sorted_by_what_it_means(tmp_path: Path) -> None:
    sizes = [9, 100, None]
    _, read = page(many(*(one(disk=Disk("d", size, None, None)) for size in sizes)), folder=tmp_path)
    by = [told["data-by"] for tag, told in read.tags if tag == "td" and told["data-label"] == "Size"]
    assert sorted(by, key=str) == [by[2], by[0], by[1]]


@pytest.mark.parametrize("ending", ["html", "md", "csv", "json"])
def test_nothing_of_the_clouds_is_taken_for_markup(tmp_path: Path, ending: str) -> None:
    error = replace(refusal(message=HOSTILE), details=None)
    result = many(one(Outcome.REFUSED, error, disk=Disk(HOSTILE, 1, HOSTILE, None)))
    path = tmp_path / f"report.{ending}"
    write_report(path, account(result))
    text = path.read_text("utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text
    if ending == "html":
        read = _Page()
        read.feed(text)
        assert "img" not in [tag for tag, _ in read.tags]
    elif ending == "md":
        shown = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # without what is code
        assert not re.search(r"<img|\]\(|://|@|www\.", shown)
        assert text.count("@all") == 3
        rows = [line for line in text.splitlines() if line.startswith("| `server_exists`")]
        assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [10]
    elif ending == "csv":
        (row,) = csv.DictReader(text.splitlines())
        assert row["name"].startswith("'<img")
        assert row["message"].startswith("'<img")
    else:
        assert json.loads(text)["results"][0]["disk"]["name"] == HOSTILE


LIMITED = many(one(), complete=False, scanned=Scanned(skipped=Skipped(over_limit=1)))
LATE = many(one(), complete=False, scanned=Scanned())
EXPIRED = one(Outcome.FAILED, refusal(ErrorCode.DEADLINE_EXCEEDED, retryable=True))
UNLISTED = many(error=refusal(ErrorCode.LISTING_FAILED, retryable=True, message="no list"), complete=False)
UNASKED = many(error=refusal(ErrorCode.UPSTREAM_REJECTED, message="no path"), complete=False)

NEXT: list[tuple[Result, str, list[str]]] = [
    (many(one()), "sweep", ["Nothing: there is nothing left to do."]),
    (many(WOULD, WOULD), "sweep", ["Look at the 2 that would be cleared", "run it again with --apply"]),
    (WOULD, "detach", ["run it again without its dry run"]),
    (PASSING, "detach", ["Run it again in a few minutes"]),
    (UNCONFIRMED, "detach", ["Ask again in a minute"]),
    (UNDER_WAY, "detach", [f"sends nothing new: evs-detach detach {seed.ORPHAN_VOLUME} --attachment "]),
    (HALF_DONE, "detach", ["Look at server and disk where the cloud left it half done"]),
    (one(Outcome.REFUSED, refusal(ErrorCode.GUEST_REFUSED)), "detach", ["guest let go of the disk"]),
    (REFUSED, "detach", ["asking again alone changes nothing"]),
    (FAILED, "detach", ["the cloud's operators find their side"]),
    (many(complete=False, scanned=Scanned(skipped=Skipped(over_limit=1))), "sweep", ["The limit ended it"]),
    (many(complete=False, scanned=Scanned()), "sweep", ["for lack of time"]),
    (one(Outcome.FAILED, refusal(ErrorCode.INVALID_REQUEST), volume_id=None), "run", ["Correct the event"]),
]


BY_TIME = "Not all was done for lack of time: run it again, with a longer --timeout."
BY_LIMIT = "The limit ended it: run it again for the rest."


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([LIMITED], [BY_LIMIT]),
        ([LATE], [BY_TIME]),
        ([EXPIRED], [BY_TIME]),
        ([many(EXPIRED, complete=False, scanned=LIMITED.scanned)], [BY_LIMIT, BY_TIME]),
        ([many(EXPIRED, complete=False, error=UNLISTED.error)], [BY_TIME]),
        ([many(complete=False, error=EXPIRED.error)], [BY_TIME]),
        ([UNLISTED], []),
        ([many(REFUSED)], []),
        ([LIMITED, LATE], [BY_LIMIT, BY_TIME]),
        ([many(complete=False, scanned=LIMITED.scanned, works=(LIMITED, one()))], [BY_LIMIT]),
        ([many(complete=False, scanned=LIMITED.scanned, works=(LIMITED, LATE))], [BY_LIMIT, BY_TIME]),
        ([many(complete=False, scanned=LIMITED.scanned, works=(UNLISTED, LIMITED))], [BY_LIMIT]),
        ([many(complete=False, works=(EXPIRED, many()))], [BY_TIME]),
    ],
)
def test_limit_and_time_are_told_apart(results: list[Result], said: list[str]) -> None:
    steps = content.next_steps(account(*results))
    assert [step for step in steps if step in {BY_LIMIT, BY_TIME}] == said


def test_what_stopped_each_of_those_that_came_together_is_said() -> None:
    told = account(many(error=UNLISTED.error, complete=False, works=(UNASKED, UNLISTED)))
    assert [reason.error.message for reason in content.why_not(told)] == ["no path", "no list"]
    assert content.headline(told) == "Nothing was judged: upstream_rejected, listing_failed."


EARNEST = "DETACH_SWEEP_DRY_RUN"
SWEPT = many(WOULD, scanned=Scanned())


@pytest.mark.parametrize(
    ("told", "how"),
    [
        (account(SWEPT), f"run it again with --apply (where {EARNEST} is set, unset it first)."),
        (
            account(SWEPT, words="evs-detach sweep --apply --limit 2"),
            f"unset {EARNEST}, which holds --apply back, and run it again.",
        ),
        (account(SWEPT, command="run"), f"run it again without its dry run, with {EARNEST}=false."),
        (
            account(many(works=(one(), SWEPT), results=SWEPT.results), command="run"),
            f", with {EARNEST}=false.",
        ),
        (account(many(WOULD), command="run"), "run it again without its dry run."),
        (account(SWEPT, command="run", settings=None), "run it again without its dry run."),
        (
            account(
                SWEPT,
                command="run",
                settings=SETTINGS._replace(sweep=SETTINGS.sweep._replace(dry_run=False)),
            ),
            "run it again without its dry run.",
        ),
    ],
)
def test_how_a_dry_run_is_done_in_earnest(told: Account, how: str) -> None:
    (step,) = content.next_steps(told)
    assert step.startswith("Look at the 1 that would be cleared; if they are right, ")
    assert step.endswith(how)


def test_what_was_passed_on_is_not_said_to_be_done() -> None:
    dry, sent = one(Outcome.DISPATCHED, dry_run=True), one(Outcome.DISPATCHED)
    steps = content.next_steps(account(many(dry, dry, sent)))
    assert steps == [
        (
            "The log of whoever the broker gives them to says which of the 2 passed on would be cleared; if "
            f"they are right, run it again with --apply (where {EARNEST} is set, unset it first)."
        ),
        (
            "The log of whoever the broker gives them to says what became of the 1 passed on; the next sweep "
            "finds what is left."
        ),
    ]


@pytest.mark.parametrize(("result", "command", "parts"), NEXT)
def test_it_says_what_to_do_next(result: Result, command: str, parts: list[str]) -> None:
    said = " ".join(content.next_steps(account(result, command=command)))
    assert all(part in said for part in parts), said


def test_an_interrupted_run_says_so() -> None:
    assert "It was interrupted" in content.next_steps(account(many(one()), interrupted=True))[0]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (many(), "Nothing to do."),
        (many(error=refusal(ErrorCode.LISTING_FAILED)), "Nothing was judged: listing_failed."),
        (many(one(), one()), "2 cleared."),
        (
            many(one(), one(via=Via.ECS), RECOVERED, FOLLOWED, HALF_DONE),
            (
                "1 cleared, 1 detached from a live server, 1 freed from a stuck state, "
                "1 begun at a live server, not yet seen done, 1 failed."
            ),
        ),
        (one(Outcome.WOULD_DETACH, via=Via.COMPUTE), "1 would be detached from a live server."),
        (UNCONFIRMED, "1 accepted by the cloud, not yet seen cleared."),
    ],
)
def test_the_headline(result: Result, said: str) -> None:
    assert content.headline(account(result)) == said


def test_what_is_under_way_is_told_by_its_job(tmp_path: Path) -> None:
    for ending in ("md", "html"):
        path = tmp_path / f"report.{ending}"
        write_report(path, account(many(UNDER_WAY, RECOVERED, scanned=Scanned(9, 9, 0, stuck=4))))
        text = path.read_text("utf-8")
        assert "in-use → detaching, job running" in text
        assert "stuck records" in text
    path = tmp_path / "report.csv"
    write_report(path, account(UNDER_WAY))
    (row,) = csv.DictReader(path.read_text("utf-8").splitlines())
    assert (row["job"], row["job_state"], row["via"]) == ("req-7", "running", "compute")


def test_what_was_wrong_in_an_event_is_said_in_all(tmp_path: Path) -> None:
    error = replace(
        refusal(ErrorCode.INVALID_REQUEST), details=(Detail("/targets/3", "uuid"),), upstream=None
    )
    wrong = one(Outcome.FAILED, error, volume_id=None)
    for ending in ("md", "html"):
        path = tmp_path / f"report.{ending}"
        write_report(path, account(wrong, command="run", settings=None))
        assert "/targets/3: it must be a UUID" in path.read_text("utf-8")


def test_several_events_are_a_list_in_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, account(one(), many(one())))
    assert [("results" in each) for each in json.loads(path.read_text("utf-8"))] == [False, True]


@pytest.mark.usefixtures("settings")
def test_a_run_writes_what_is_asked_for(
    bare_cloud: Cloud, project: EmbeddedProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_held(5)
    orphan = project.add_orphan(name="data-1")
    paths = [tmp_path / f"r.{ending}" for ending in ("md", "html", "csv", "json")]
    metrics = tmp_path / "m.prom"
    words = [word for path in paths for word in ("--report", str(path))]

    assert main(["sweep", "--apply", *words, "--metrics-file", str(metrics)]) == 0

    result = json.loads(capsys.readouterr().out)
    for path in paths[:2]:
        assert bare_cloud.compute_endpoint in path.read_text("utf-8")
    for path in paths:
        assert orphan[0] in path.read_text("utf-8")
        assert "data-1" in path.read_text("utf-8")
    assert json.loads(paths[3].read_text("utf-8")) == result
    assert f"{seed.PROJECT}" in metrics.read_text("utf-8")
    assert "evs_detach_cleared{" in metrics.read_text("utf-8")
    assert bare_cloud.token() not in "".join(path.read_text("utf-8") for path in paths)


@pytest.mark.usefixtures("settings")
def test_what_cannot_be_written_is_1_and_takes_nothing_along(
    project: EmbeddedProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_held(2)
    lost, kept, metrics = tmp_path / "no" / "r.md", tmp_path / "r.md", tmp_path / "m.prom"
    words = ["--report", str(lost), "--report", str(kept), "--metrics-file", str(metrics)]

    assert main(["sweep", *words]) == ExitCode.FAILED

    printed = capsys.readouterr()
    assert f"{lost} could not be written: No such file or directory" in printed.err
    assert json.loads(printed.out)["ok"]
    assert kept.exists()
    assert "evs_detach_exit_code{" in metrics.read_text("utf-8")
    assert re.search(r"evs_detach_exit_code\{[^}]*\} 1$", metrics.read_text("utf-8"), re.MULTILINE)


@pytest.mark.usefixtures("settings")
def test_a_token_that_has_ended_since_takes_no_report_away(
    project: EmbeddedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_held(2)

    def gone(*_: object) -> None:
        raise TokenRejected("it has ended")

    monkeypatch.setattr("handler.actions.project.Project.endpoints", property(gone))
    path = tmp_path / "r.md"
    assert main(["sweep", "--report", str(path)]) == 0
    assert "Compute service" not in path.read_text("utf-8")
