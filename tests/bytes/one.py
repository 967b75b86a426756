"""One reader under libFuzzer: `python -m tests.bytes.one READER ITS_NAME -its_options=…`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["handler"]):
    from tests.bytes.readers import READERS, open_doors


def main() -> None:
    reader = READERS[sys.argv[1]]
    with open_doors():
        atheris.Setup(sys.argv[2:], reader)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
