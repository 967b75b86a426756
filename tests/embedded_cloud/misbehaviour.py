"""Rules by which the cloud misbehaves, for tests of what the function makes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.embedded_cloud.messages import Answer, Call, Manner, Question


@dataclass(slots=True, eq=False)
class Rule:
    """What goes wrong with the calls that match; ``hits`` counts those it was applied to.

    service, method, path_contains  which calls; None matches all
    like           exactly this question (``Call.question``)
    times, after   it is applied to ``times`` matching calls (None: for ever), ``after`` letting so many pass
    status, body, headers  the answer given instead of the real one; ``body`` may be JSON data, text or bytes
    act            the real handling takes effect all the same, although its answer is replaced (default no)
    delay          seconds that the answer is late; what was asked for has taken effect by then
    drop           the connection is closed without an answer, "before" or "after" having acted
    drip           seconds between the bytes of the body (of the head too with ``drip_head``)
    endless        a body that never ends
    huge           the body is padded with blanks to so many bytes
    redirect_to    302 (or ``status``) to this location
    interim        statuses of interim answers (1xx) that come before the answer
    stray          text that follows the answer at once
    instead        an answer to another call, sent instead of the real one, which took effect
    """

    service: str | None = None
    method: str | None = None
    path_contains: str | None = None
    like: Question | None = None
    times: int | None = 1
    after: int = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] | None = None
    delay: float = 0.0
    drop: Literal["before", "after"] | None = None
    act: bool = False
    drip: float | None = None
    drip_head: bool = False
    endless: bool = False
    huge: int = 0
    redirect_to: str | None = None
    interim: tuple[int, ...] = ()
    stray: str = ""
    instead: Answer | None = None
    hits: int = 0
    _seen: int = 0

    def matches(self, call: Call) -> bool:
        return (
            (self.service is None or self.service == call.service)
            and (self.method is None or self.method.upper() == call.method)
            and (self.path_contains is None or self.path_contains in call.path)
            and (self.like is None or self.like == call.question)
        )

    @property
    def forced(self) -> bool:
        """Whether the real answer is not needed, so that its effect is wanted only with ``act``."""
        return self.status is not None or self.redirect_to is not None or self.drop == "before"

    def bend(self, answer: Answer) -> Answer:
        """Turn the real answer (or a placeholder, when it was not to act) into what is sent."""
        if self.instead is not None:
            answer = Answer(self.instead.status, self.instead.body, list(self.instead.headers))
        if self.redirect_to is not None:
            answer = Answer(self.status or 302, b"", [("Location", self.redirect_to)])
        elif self.status is not None:
            answer = Answer(self.status, b"", [("Content-Type", "application/json")])
        if self.body is not None:
            plain = isinstance(self.body, (str, bytes))
            text = self.body if plain else json.dumps(self.body)
            answer.body = text if isinstance(text, bytes) else text.encode()
            kind = "text/html; charset=UTF-8" if answer.body.lstrip()[:1] == b"<" else "text/plain"
            _replace(answer, {"Content-Type": kind if plain else "application/json"})
        _replace(answer, self.headers or {})
        answer.body = answer.body.ljust(self.huge)
        answer.manner = Manner(
            self.drop is not None, self.drip, self.drip_head, self.endless, tuple(self.interim), self.stray
        )
        return answer


def _replace(answer: Answer, headers: dict[str, str]) -> None:
    names = {name.lower() for name in headers}
    answer.headers = [pair for pair in answer.headers if pair[0].lower() not in names] + list(headers.items())


class Misbehaviour:
    """The rules in order: the first that matches and is not used up applies."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(
        self,
        service: str | None = None,
        method: str | None = None,
        path_contains: str | None = None,
        times: int | None = 1,
        after: int = 0,
        status: int | None = None,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        drop: Literal["before", "after"] | None = None,
        act: bool = False,
        drip: float | None = None,
        drip_head: bool = False,
        endless: bool = False,
        huge: int = 0,
        redirect_to: str | None = None,
        interim: tuple[int, ...] = (),
        stray: str = "",
        instead: Answer | None = None,
        like: Question | None = None,
    ) -> Rule:
        """Add a rule; the parameters are Rule's."""
        rule = Rule(
            service=service,
            method=method,
            path_contains=path_contains,
            times=times,
            after=after,
            status=status,
            body=body,
            headers=headers,
            delay=delay,
            drop=drop,
            act=act,
            drip=drip,
            drip_head=drip_head,
            endless=endless,
            huge=huge,
            redirect_to=redirect_to,
            interim=interim,
            stray=stray,
            instead=instead,
            like=like,
        )
        with self._lock:
            self.rules.append(rule)
        return rule

    def exchange(self, calls: Sequence[Call], first: int, second: int) -> None:
        """Have two calls get each other's answer.

        ``calls`` are those of an earlier run through the same world, with their answers.
        """
        self.replay(calls, first, second)
        self.replay(calls, second, first)
        if calls[first].question == calls[second].question:
            self.rules[-1].after -= 1  # the rule before it takes one such call away

    def replay(self, calls: Sequence[Call], asked: int, answered: int) -> None:
        """Have one call get what another one was answered."""
        question = calls[asked].question
        before = sum(call.question == question for call in calls[:asked])
        self.add(like=question, after=before, instead=calls[answered].answer)

    def take(self, call: Call) -> Rule | None:
        """Find the rule for this call and count it as hit."""
        if not self.rules:
            return None
        with self._lock:
            for rule in self.rules:
                if (rule.times is not None and rule.hits >= rule.times) or not rule.matches(call):
                    continue
                rule._seen += 1
                if rule._seen > rule.after:
                    rule.hits += 1
                    return rule
        return None

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()
