"""One reader under libFuzzer: `python -m tests.bytes.one READER ITS_NAME -its_options=…`."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys

import atheris

import handler

with atheris.instrument_imports(include=["handler", "cloudevents"]):
    # All of them now: what is imported when it is first needed would not be seen
    for module in pkgutil.walk_packages(handler.__path__, "handler."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ModuleNotFoundError):  # an extra that is not installed here
                importlib.import_module(module.name)
    from tests.bytes.readers import READERS, open_doors


def main() -> None:
    reader = READERS[sys.argv[1]]
    with open_doors():
        atheris.Setup(sys.argv[2:], reader)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
