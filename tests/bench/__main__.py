"""All benches in one run, as a table: ``python -m tests.bench [--quick] [PART…]``.

What is compared is measured in turns, in one run, on one machine: only the ratios mean something. Ends with 1
where a bound is missed. The machine may have been busy: no test asks for it. What a part gave last is kept in
build/bench/ (not of `--quick`), with its plots; `make performance` writes the documentation's page from it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.bench import kept, page
from tests.bench.processes import first_line, program
from tests.bench.rows import PARTS, QUICK, Effort
from tests.bench.table import Row, show


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first impression")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    with program("-m", "tests.bench.stub") as stub:
        url = f"http://127.0.0.1:{first_line(stub)}"
        for name in options.parts or PARTS:
            print(f"{name} …", file=sys.stderr, flush=True)
            found = [*PARTS[name](url, QUICK if options.quick else Effort())]
            rows += found
            if not options.quick:
                kept.write({**kept.read(), name: kept.measured(found)})
    if not options.quick:
        for file, text in page.drawn(page.Measured(kept.read(), page.grown())).items():
            (kept.RESULTS.parent / file).write_text(text, encoding="utf-8")
    print(show(rows))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
