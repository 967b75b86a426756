"""The start of one process: ``python -m tests.bench.start CONTENDER [MODULE…]``. Prints its milliseconds.

`handler` is all that a process imports until its first invocation of form *one* is done: the framework, the
entry point, and the modules that are named, which that invocation imports on its way. `needs URL` finds them
out, by doing one. `bare` imports the libraries only, and makes one model. `other` imports the modules that
are named. A module named with a leading minus can't be imported. Processor time is taken: a neighbour's work
on the same machine would count otherwise.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

OURS, BARE, OTHER = "handler", "bare", "other"
STORES = ("handler.credentials.stores.csms", "handler.credentials.stores.vault")
HUAWEICLOUD = ("huaweicloudsdkecs.v2", "huaweicloudsdkevs.v2")
SDK_SERVICES = ("openstack.block_storage.v3._proxy", "openstack.compute.v2._proxy")

_VOLUME_ID = "aaaaaaaa-6daa-48e5-808c-c4189495d318"


def _ours(modules: list[str]) -> None:
    import_module("functions_framework")
    import_module("handler.main")
    for name in modules:
        import_module(name)
    request = import_module("handler.model.request")
    request.read_form(request.Target, {"volume_id": _VOLUME_ID})


def _bare() -> None:
    import_module("functions_framework")
    import_module("requests")
    pydantic = import_module("pydantic")

    class Target(pydantic.BaseModel):  # type: ignore[misc, name-defined]  # imported when it is time to
        volume_id: str
        attachment_id: str | None = None
        server_id: str | None = None
        dry_run: bool = False

    Target.model_rebuild()
    Target(volume_id=_VOLUME_ID)


def _needs(url: str) -> list[str]:
    import io  # noqa: PLC0415 (whatever is imported before counts as the interpreter's)
    import os  # noqa: PLC0415

    from tests.bench.deployment import CALLERS_KEY, settings  # noqa: PLC0415

    import_module("functions_framework")
    detach = import_module("handler.main").detach
    request = import_module("flask").Request
    os.environ.update(settings(url))
    body = b'{"volume_id": "%b"}' % _VOLUME_ID.encode()
    asked = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {CALLERS_KEY}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }
    before = set(sys.modules)
    answer = detach(request(asked))
    if answer.status_code != 200:
        raise RuntimeError(f"not cleared: {answer.get_data()}")
    return [name for name in sys.modules if name not in before]


def main() -> None:
    contender, *words = sys.argv[1:]
    if contender == "needs":
        print("needs:", *_needs(words[0]))
        return
    for word in words:
        if word.startswith("-"):
            sys.modules[word[1:]] = None  # type: ignore[assignment]  # that is how an import is forbidden
    named = [word for word in words if not word.startswith("-")]
    started = time.process_time()
    if contender == OURS:
        _ours(named)
    elif contender == BARE:
        _bare()
    else:
        for name in named:
            import_module(name)
    print((time.process_time() - started) * 1000)


if __name__ == "__main__":
    main()
