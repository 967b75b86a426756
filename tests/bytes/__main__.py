"""Fuzz the readers, guided by what they reach: `python -m tests.bytes --minutes 9`, or one of them by name.

Runs in an environment of its own (build/bytes-venv), since it needs atheris. New inputs are merged into the
corpus beside this file; one that a reader breaks at is left in build/bytes/.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bytes import corpus, words
from tests.bytes.readers import READERS

BUILD = Path(__file__).resolve().parents[2] / "build" / "bytes"
_LONGEST = 16384  # bytes
_PATIENCE = 10  # seconds that one input may take


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bytes", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="for all of them together")
    parser.add_argument("reader", nargs="*", help="these only")
    given = parser.parse_args()
    if unknown := set(given.reader) - READERS.keys():
        parser.error(f"there is no {', '.join(unknown)}: {', '.join(READERS)}")
    readers = given.reader or [*READERS]
    broken = 0
    for reader in readers:
        broken += _fuzz(reader, round(60 * given.minutes / len(readers)))
    return bool(broken)


def _fuzz(reader: str, seconds: int) -> int:
    """Fuzz one for a time, in a process that libFuzzer may end as it likes; then merge what it found."""
    found, merged = BUILD / reader, BUILD / f"{reader}-merged"
    corpus.unpack(reader, found)
    common = [f"-artifact_prefix={BUILD}/{reader}-", f"-max_len={_LONGEST}", f"-timeout={_PATIENCE}"]
    (BUILD / "words.txt").write_text(words.dictionary(), encoding="ascii")
    guided = [f"-dict={BUILD}/words.txt", f"-max_total_time={seconds}", "-print_final_stats=1"]
    ended = _run(reader, [*guided, *common, str(found)])
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    if not ended:
        ended = _run(reader, ["-merge=1", *common, str(merged), str(found)])
        print(f"{reader}: {corpus.pack(reader, merged)} inputs are kept", flush=True)
    return ended


def _run(reader: str, options: list[str]) -> int:
    """Run libFuzzer on a reader. It starts itself anew for a merge, by the name of a program."""
    program = BUILD / f"{reader}.sh"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.bytes.one {reader} "$0" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return subprocess.run([program, *options], cwd=BUILD.parents[1], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
