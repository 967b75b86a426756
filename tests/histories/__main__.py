"""Play histories: `python -m tests.histories --most 3000`, or `--mutated` to have wrong rules caught.

What was played is kept in build/, so that a run which is ended goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.histories.history import Story, play
from tests.histories.mutated import KINDS, all_caught

ROOT = Path(__file__).resolve().parents[2]
FAILED = Path(__file__).parent / "failed.json"
"""Seeds that once failed, with what was wrong; the first to be played in every run."""

KEPT = ROOT / "build" / "histories.json"
_SAVED_EVERY = 200  # histories


def failed_once() -> dict[int, str]:
    return {int(seed): wrong for seed, wrong in json.loads(FAILED.read_text(encoding="utf-8")).items()}


def state_of_the_code() -> str:
    """What a run's figures are about: the committed code and the changes that are not."""
    paths = ["handler", "tests/histories", "tests/embedded_cloud"]
    commands = (["rev-parse", *(f"HEAD:{path}" for path in paths)], ["diff", "HEAD", "--", *paths])
    said = [
        subprocess.run(["git", *each], cwd=ROOT, capture_output=True, check=False).stdout for each in commands
    ]
    return hashlib.sha256(b"".join(said)).hexdigest()


class Run:
    """A run over the seeds from 0 on, and how far it has come."""

    def __init__(self, most: int, kept: Path | None) -> None:
        self.most = most
        self.kept = kept
        self.code = state_of_the_code()
        self.done = 0
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self.wrong: dict[int, list[str]] = {}
        if kept is not None and kept.exists():
            self._go_on(json.loads(kept.read_text(encoding="utf-8")))

    def _go_on(self, saved: dict[str, object]) -> None:
        if saved.pop("code") != self.code:
            return
        vars(self).update(saved)
        self.counts = Counter(self.counts)
        self.wrong = {int(seed): wrong for seed, wrong in self.wrong.items()}

    def play(self) -> None:
        for seed in failed_once():
            self._note(play(seed))
        while self.done < self.most:
            began = time.monotonic()
            for seed in range(self.done, min(self.most, self.done + _SAVED_EVERY)):
                self._note(play(seed))
                self.done = seed + 1
            self.seconds += time.monotonic() - began
            self._save()

    def _note(self, story: Story) -> None:
        self.counts.update(
            visits=story.visits,
            calls=story.calls,
            kills=story.kills,
            clearings=story.cleared,
            steps=story.steps,
        )
        if story.wrong:
            self.wrong[story.seed] = story.wrong
            print(f"seed {story.seed}: {'; '.join(story.wrong)}", flush=True)

    def _save(self) -> None:
        if self.kept is not None:
            self.kept.parent.mkdir(exist_ok=True)
            said = {name: value for name, value in vars(self).items() if name not in {"kept", "most"}}
            self.kept.write_text(json.dumps(said), encoding="utf-8")

    def __str__(self) -> str:
        counts = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        pace = self.done / self.seconds if self.seconds else 0.0
        return f"{self.done:,} histories ({pace:.0f} a second): {counts}; {len(self.wrong)} wrong"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--most", type=int, default=3000, help="how many histories, from seed 0 on")
    parser.add_argument("--seed", type=int, help="this history only")
    parser.add_argument("--anew", action="store_true", help="don't go on with a run that was ended")
    parser.add_argument("--mutated", action="store_true", help="have each kind of a wrong rule caught")
    given = parser.parse_args()
    if given.seed is not None:
        story = play(given.seed)
        print(story)
        return bool(story.wrong)
    if given.mutated:
        missed = 0
        for kind, seed, wrong in all_caught(given.most):
            print(f"{kind}: " + ("NOT CAUGHT" if seed is None else f"by seed {seed}: {wrong}"), flush=True)
            missed += seed is None
        print(f"{len(KINDS) - missed} of {len(KINDS)} kinds caught within {given.most:,} histories")
        return bool(missed)
    run = Run(given.most, None if given.anew else KEPT)
    run.play()
    print(run)
    return bool(run.wrong)


if __name__ == "__main__":
    sys.exit(main())
