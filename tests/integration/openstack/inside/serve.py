"""Serves a service's WSGI application on loopback: ``serve.py MODULE PORT [the service's own arguments]``.

It runs in the services' environment, which has waitress; the environment that checks types has not.
"""

from __future__ import annotations

import importlib
import sys

import waitress  # type: ignore[import-untyped]


def main() -> None:
    module, port, *arguments = sys.argv[1:]
    # Each of these modules parses the command line when it is imported.
    sys.argv = [module, *arguments]
    application = importlib.import_module(module).application
    # A hung request of one caller must not hold up another's.
    waitress.serve(application, host="127.0.0.1", port=int(port), threads=16)


if __name__ == "__main__":
    main()
