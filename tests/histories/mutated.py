"""Kinds of a rule that is wrong by one line: each has to be caught by some history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from tests.histories.history import play
from tests.histories.seams import played
from tests.mutation.operators import Mutant, mutants_of
from tests.mutation.patching import put_in_place
from tests.mutation.places import source_of

KINDS: dict[str, tuple[str, str]] = {
    "a live server is taken for gone": (
        "handler.actions.proof:Proof._ask",
        "isinstance(found, Server) -> False",
    ),
    "a deletion need not be on record": (
        "handler.actions.proof:Proof._ask",
        "self._require_deletion(spellings[0], context) -> pass",
    ),
    "a server that runs is taken to have let go": (
        "handler.actions.proof:Proof.require_let_go",
        (
            "self._check is not ServerCheck.NOT_HELD or not server.idle or not _at_rest(server) -> "
            "(self._check is not ServerCheck.NOT_HELD or not server.idle)"
        ),
    ),
    "another project's volume is no matter": (
        "handler.actions.clear:Clearing._read",
        "self._project_id is not None -> False",
    ),
    "another server than the event names is no matter": (
        "handler.actions.guards:find_attachment",
        "require_server(matching[0].server_id, target) -> pass",
    ),
    "services of two regions belong together": (
        "handler.actions.clear:Clearing._steps",
        "self._require_belonging(context) -> pass",
    ),
    "a dry run sends": ("handler.actions.clear:Clearing._steps", "target.dry_run -> False"),
    "it is done without being seen so": (
        "handler.actions.os_detach:OsDetach._look",
        "all -> any",
    ),
    "nothing was changed by what had no answer": (
        "handler.actions.os_detach:post",
        "isinstance(failed, UpstreamUnavailable) and not failed.unsent -> False",
    ),
    "what passes by itself is settled": ("handler.triggers.reply:_single", "not error.retryable -> True"),
    "a list ends with its first page": ("handler.cloud.paging:Listing._pages", "last -> True"),
    "a live detach goes by an old record": (
        "handler.actions.live:Live._begin",
        "again._replace(read_at=volume.read_at) != volume -> False",
    ),
    "a live server's state is no matter": (
        "handler.actions.live:Live.look",
        "self._require_state(server) -> pass",
    ),
    "a stuck record is freed whoever has the disk": (
        "handler.actions.recover:Recovery.recover",
        "self._require_nowhere(volume, entry, context) -> pass",
    ),
    "a stuck record is not judged again": (
        "handler.actions.recover:Recovery.recover",
        "self._judge_again(judged, context, found) -> pass",
    ),
}
"""By what is wrong, the place and the change, as `make mutants` names them."""


class Caught(NamedTuple):
    """Which kind, by which seed, and what was seen there; None where no history saw anything."""

    kind: str
    seed: int | None
    wrong: str


def all_caught(most: int) -> Iterator[Caught]:
    """Try each kind against the first `most` histories, in a process of its own."""
    for kind in KINDS:
        yield tried(kind, most)


def mutant_of(place: str, change: str) -> Mutant:
    module = place.partition(":")[0]
    (found,) = [one for one in mutants_of(module, source_of(module)) if one.key == (place, change)]
    return found


def tried(kind: str, most: int) -> Caught:
    played()  # imported here, so that it is not for each of them
    mutant = mutant_of(*KINDS[kind])
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reads)
            put_in_place(mutant, source_of(mutant.module))
            os.write(writes, _first(most, live=mutant.module == "handler.actions.live").encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as said:
        seed, _, wrong = said.read().partition(" ")
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"{kind}: could not be played")
    return Caught(kind, int(seed) if seed else None, wrong)


def _first(most: int, *, live: bool) -> str:
    for seed in range(most):
        story = play(seed, live=live)  # few of all histories come so far in a live server's
        if story.wrong:
            return f"{seed} {story.wrong[0]}"
    return ""
