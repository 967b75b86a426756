"""The table of the cases and what each cloud answered: CASES.md, written by ``--write-cases``."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("CASES.md")
CLOUDS = ("embedded", "real")

_HEAD = """\
# What each cloud answered in each case

Written by `pytest tests/contract --write-cases`, once for each `--cloud`; tested to be current.

A step is one call of the function: the HTTP status, and of each result its outcome, its error's code, in
brackets the status that the cloud gave, and `again` when it may be asked again. Then comes what the cloud's
own API said of the volumes before and after (or once, when nothing changed): status, number of attachments.
"""
_SAME = "the same"
_STEPS = "<br>"

Name = tuple[str, str]
Rows = dict[Name, dict[str, str]]


class Table:
    """What the cases of this run answered, by the file's and the case's name."""

    def __init__(self) -> None:
        self._steps: dict[Name, list[str]] = {}

    def steps(self, name: Name) -> list[str]:
        """Give the list that a case writes its steps to."""
        return self._steps.setdefault(name, [])

    def answers(self) -> dict[Name, str]:
        return {name: _STEPS.join(steps) for name, steps in self._steps.items()}

    def write(self, cloud: str, names: list[Name], *, whole: bool) -> None:
        """Write this run's answers in its cloud's column; ``names`` are its cases, in order.

        ``whole``: there are no others, so rows of other names are dropped.
        """
        old, new = read(), self.answers()
        rows: Rows = {}
        for name in names if whole else [*old, *(name for name in names if name not in old)]:
            rows[name] = {**old.get(name, {}), **({cloud: new[name]} if name in new else {})}
        FILE.write_text(_render(rows), encoding="utf-8")


def case_name(file: str, test: str) -> Name:
    """Turn a test's names into what the table calls it."""
    title, _, parameters = test.removeprefix("test_").partition("[")
    what = title.replace("_", " ")
    return file.removeprefix("test_").removesuffix(".py"), what + (
        f" ({parameters[:-1]})" if parameters else ""
    )


def read() -> Rows:
    """Read the table back."""
    rows: Rows = {}
    file = ""
    for line in FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []:
        if line.startswith("## "):
            file = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and cells[0] not in {"case", "---"}:
            answers = dict(zip(CLOUDS, cells[1:], strict=True))
            if answers["real"] == _SAME:
                answers["real"] = answers["embedded"]
            rows[file, cells[0]] = {cloud: answer for cloud, answer in answers.items() if answer}
    return rows


def _render(rows: Rows) -> str:
    lines = [_HEAD]
    for file in dict.fromkeys(file for file, _ in rows):
        lines += [f"## {file}", "", "| case | embedded cloud | real cloud |", "| --- | --- | --- |"]
        for (of, title), answers in rows.items():
            if of == file:
                embedded, real = (answers.get(cloud, "") for cloud in CLOUDS)
                lines.append(f"| {title} | {embedded} | {_SAME if real and real == embedded else real} |")
        lines.append("")
    return "\n".join(lines)
