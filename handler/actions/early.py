"""A server that is looked for beside its volume: no answer hangs on the other, so nobody waits for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from handler.actions.proof import Proof, Proven
from handler.cloud.servers import Server
from handler.errors import Failure
from handler.invocation import CallContext, Patience

_EARLY_PAUSE = 0.25
"""Seconds: for a kept connection that went stale. Who needs no proof doesn't wait for the compute service."""

Begin = Callable[[Sequence[str], CallContext], "Future[Server | Proven]"]
"""Begins a look on a thread of its own."""


def begin_early(proof: Proof, server_id: str | None, context: CallContext) -> Early | None:
    """Begin to look for a server; None where it is known already, or not which. To be ended."""
    if server_id is None or proof.knows(server_id):
        return None
    try:
        return Early(server_id, context, proof.begin)
    except RuntimeError:  # no thread is to be had: one after the other, then
        return None


class Early:
    """What is found of a server whose id is known before its volume's record says which it is.

    Asked for beside that record, so that nobody waits for one after the other. It counts only where the
    record then names this very server, in this very spelling, and only where it proves the server gone: one
    that is gone doesn't come back. Any other state is judged after the record: then it is asked for again. So
    it is where the look would have had to pause, which is worth it only to whoever needs the proof.
    """

    def __init__(self, server_id: str, context: CallContext, begin: Begin) -> None:
        self._spellings = (server_id,)
        self._context = context
        self._own = context.separate()
        self._own.patience = self._patience = Patience(_EARLY_PAUSE)
        self._begin = begin
        self._asked = begin(self._spellings, self._own)
        self._told = self._ended = False

    def proven(self, spellings: Sequence[str]) -> Proven | None:
        """What proves this server gone; None where it is another's proof that is wanted, or there is none.

        Raises the look's own Failure: to ask again would only take as long once more.
        """
        if tuple(spellings) != self._spellings:
            self.end()
            return None
        if self._asked.cancel():  # no thread was free for it
            return None
        self._told = True
        try:
            found = self._asked.result()
        except Failure:
            if self._patience.ran_out:
                return None
            raise
        finally:
            self.end()
        return found if isinstance(found, Proven) else None

    def wait(self) -> None:
        """Let the look have all its time. What it fails by is met again by whoever needs it."""
        if self._asked.cancel():
            return
        self._told = True
        with suppress(Failure):
            try:
                self._asked.result()
            except Failure:
                if self._patience.ran_out:
                    self._begin(self._spellings, self._context).result()

    def end(self) -> None:
        """Wait for the look, which is not repeated any more; its calls are the context's then.

        A bug that nobody has met in it is logged.
        """
        if self._ended or self._asked.cancel():
            return
        self._ended = True
        self._own.deadline = self._own.deadline.sooner(0)
        try:
            self._asked.result()
        except Failure:
            pass  # whoever needed it has met it
        except Exception as bug:
            if self._told:
                raise
            self._context.log.bug(bug)
        finally:
            self._context.took(self._own)
