"""`python -m handler`: the same as `evs-detach`, and a first word that is no command is a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from handler.terminal.cli import main as evs_detach


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what the command line says; the exit code."""
    return evs_detach(arguments, program="python -m handler", files=True)


if __name__ == "__main__":
    sys.exit(main())
