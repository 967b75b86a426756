"""The one way to the cloud: time limits, retries of reads, redaction and request ids live here.

`Session.request` spends most of its time on environment, cookies and redirects, which we neither need nor
want. A kept adapter sending a prepared request stays on `requests` and leaves them out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Protocol

import requests
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError, IncompleteRead, MaxRetryError
from urllib3.util.retry import Retry

from handler import NAME, __version__
from handler.cloud.connection import BoundedAdapter, Budget, TooLate, split
from handler.cloud.faults import passes, plain_word, refuses_token, retry_hint
from handler.cloud.messages import Answer, Call, request_id_of
from handler.cloud.no_answer import no_answer
from handler.cloud.proxies import passwords_of, proxies_for
from handler.errors import DeadlineExceeded, NoAnswer, UpstreamUnavailable
from handler.invocation import CallContext
from handler.settings.trust import Trust
from handler.telemetry import Event
from handler.tracing import Span

_PASSING = frozenset({502, 503, 504})
"""Beside what `passes` says of 4xx. A 500 of Cinder or Nova is most often there to stay."""

_READS = Retry(total=3, backoff_factor=0.2, backoff_jitter=0.2, backoff_max=5.0)
_FIRST_PAUSE = 0.2  # seconds at most: urllib3 itself doesn't pause before the first retry

_CERTIFI = Trust()


class Authenticator(Protocol):
    """What signs requests; bound to one invocation (its deadline and log). See `handler.credentials`."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the credentials into the request's headers."""
        ...

    def renew(self, refused: PreparedRequest) -> bool:
        """Say that the cloud refused this request's credentials. True if there are others now: send again."""
        ...


_BASE_HEADERS = {
    "Accept": "application/json",
    # A body that arrives as it is can be bounded as it arrives
    "Accept-Encoding": "identity",
    # A 404 may be kept by what stands between (RFC 9111), and an old one would prove a live server gone
    "Cache-Control": "no-cache",
    # What a service says is compared with sentences that it says in English
    "Accept-Language": "en",
    "User-Agent": f"{NAME}/{__version__}",
}


class Transport:
    """Sends calls over kept connections. One lives as long as its instance; threads share it.

    `threads` are for what goes on beside a call, and are kept, too: to begin one takes as long as a call.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        trust: Trust = _CERTIFI,
        connections: int = 32,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.read_timeout = read_timeout
        self._connect_timeout = connect_timeout
        self._trust = trust
        self._sleep = sleep
        self._adapter = BoundedAdapter(pool_connections=8, pool_maxsize=connections)
        self._proxies: dict[str, dict[str, str]] = {}
        self._most = max(1, connections // 2)  # two calls side by side: one of them is the thread's own
        self.threads = ThreadPoolExecutor(self._most, "beside")

    def close(self) -> None:
        """Close the kept connections, and let the threads end. Another call makes new ones."""
        threads, self.threads = self.threads, ThreadPoolExecutor(self._most, "beside")
        threads.shutdown(wait=False)
        self._adapter.close()

    @contextmanager
    def opened_ahead(self, urls: Iterable[str], context: CallContext) -> Iterator[None]:
        """Connect beside the block for the calls in it. What a proxy is for is left to them."""
        seconds = min(self._connect_timeout, context.deadline.remaining())
        opening: list[Future[None]] = []
        with suppress(RuntimeError):  # no thread is to be had
            opening.extend(
                self.threads.submit(self._adapter.open, url, self._trust, seconds)
                for url in urls
                if not proxies_for(url)
            )
        try:
            yield
        finally:
            for each in opening:
                if not each.cancel():
                    each.result()

    def send(self, call: Call, context: CallContext, auth: Authenticator | None = None) -> Answer:
        """Send a call and read its whole answer, whatever its status.

        A GET is repeated on 408, 413 over a limit, 425, 429, 502, 503, 504 and broken connections, as the
        deadline allows; anything else is sent once. Where the credentials are refused they are renewed once
        and the call is sent again: a refused call was not acted on. Raises NoAnswer, UpstreamUnavailable or
        DeadlineExceeded.
        """
        with _signing():
            request = self._prepare(call, auth)
        answer = self._repeat(call, request, context)
        if auth is not None and call.renews and refuses_token(answer):
            with _signing():
                again = self._prepare(call, auth) if auth.renew(request) else None
            if again is not None:
                # The refused token may yet be good elsewhere
                answer = self._repeat(call._replace(secrets=answer.secrets), again, context)
        return answer

    def _prepare(self, call: Call, auth: Authenticator | None) -> PreparedRequest:
        request = PreparedRequest()
        request.method = call.method
        request.url = call.url
        request.body = call.body
        headers = {**_BASE_HEADERS, **call.headers}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(call.body))
        # Only a call's own may be spelled in another way than those here
        request.headers = CaseInsensitiveDict(headers) if call.headers else headers  # type: ignore[assignment]
        return auth(request) if auth is not None else request

    def _repeat(self, call: Call, request: PreparedRequest, context: CallContext) -> Answer:
        retry = _READS
        while True:
            outcome = self._once(call, request, context, resent=len(retry.history))
            if not _may_repeat(call.method, outcome):
                break
            try:
                retry = retry.increment(call.method, call.path)
            except MaxRetryError:
                break
            hint = retry_hint(outcome) if isinstance(outcome, Answer) else None
            pause = hint if hint is not None else retry.get_backoff_time() or _jitter()
            if not context.may_pause(pause):
                break
            context.log.info(
                Event.RETRY,
                service=call.service,
                method=call.method,
                path=call.path,
                status=outcome.status if isinstance(outcome, Answer) else None,
                pause_ms=round(pause * 1000),
            )
            self._sleep(pause)
        if isinstance(outcome, NoAnswer):
            raise outcome
        return outcome

    def _once(
        self, call: Call, request: PreparedRequest, context: CallContext, *, resent: int
    ) -> Answer | NoAnswer:
        left = context.deadline.remaining()
        if left <= 0 or left < call.needs:
            raise _too_late(call)
        started = time.monotonic()
        until = started + left
        budget = Budget(
            connect=min(self._connect_timeout, left),
            read=min(self.read_timeout, left),
            until=until,
            latest=until - call.needs,
        )
        if call.changes is not None:
            context.log.always(Event.CHANGING, **call.changes)
        span = context.span.child(
            "call", service=call.service, method=call.method, url=call.url, resent=resent
        )
        request.headers.update(span.headers)
        outcome: Answer | NoAnswer | None = None
        sent = True
        try:
            outcome = self._exchange(call, request, budget)
        except TooLate:
            sent = False
            raise _too_late(call) from None
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            # Not raised here: the library's error, which holds the request, would be its context
            outcome = no_answer(call.service, error)
        finally:
            _note(call, outcome, context, span, time.monotonic() - started, sent=sent)
        return outcome

    def _exchange(self, call: Call, request: PreparedRequest, budget: Budget) -> Answer:
        if not call.fresh:
            return self._sent_by(self._adapter, call, request, budget)
        adapter = BoundedAdapter(pool_connections=1, pool_maxsize=1)
        try:
            return self._sent_by(adapter, call, request, budget)
        finally:
            adapter.close()

    def _sent_by(
        self, adapter: BoundedAdapter, call: Call, request: PreparedRequest, budget: Budget
    ) -> Answer:
        origin, _ = split(call.url)
        proxies = self._proxies.get(origin)
        if proxies is None:
            proxies = self._proxies[origin] = proxies_for(call.url)
        response = adapter.send(
            request,
            stream=True,
            timeout=budget,  # type: ignore[arg-type]  # taken as it is, says HTTPAdapter.send
            verify=call.trust or self._trust,  # type: ignore[arg-type]  # BoundedAdapter's own
            proxies=proxies,
        )
        token = request.headers.get("X-Auth-Token")
        secrets = (*call.secrets, *((token,) if token else ()), *(passwords_of(proxies) if proxies else ()))
        try:
            encodings = _encodings(response.headers, secrets)
            if encodings:
                raise UpstreamUnavailable(
                    f"The {call.service} service's answer is encoded ({', '.join(encodings)}), although it "
                    "was asked not to be: check what stands between."
                )
            body = response.raw.read(call.largest + 1, decode_content=False)
            if len(body) > call.largest:
                raise UpstreamUnavailable(
                    f"The {call.service} service sent more than {call.largest} bytes: not read any further."
                )
            if response.raw.length_remaining:
                raise IncompleteRead(len(body), response.raw.length_remaining)
            if not response.raw.closed:  # its end was the connection's
                response.raw.close()
        except BaseException:
            # What is left of the answer must not be taken for the start of the next one
            response.raw.close()
            raise
        return Answer(
            response.status_code, response.headers, body, request_id_of(response.headers, secrets), secrets
        )


def _note(
    call: Call,
    outcome: Answer | NoAnswer | None,
    context: CallContext,
    span: Span,
    seconds: float,
    *,
    sent: bool,
) -> None:
    """Count and log a call. `outcome` is None where nothing was sent, or what came was not understood."""
    answer = outcome if isinstance(outcome, Answer) else None
    request_id = answer.request_id if answer is not None else None
    said = {
        "status": answer.status if answer is not None else None,
        "upstream_request_id": request_id,
        "duration_ms": round(seconds * 1000),
    }
    span.end(status=said["status"], upstream_request_id=request_id, seconds=seconds, sent=sent)
    if sent:
        context.called(request_id)
    context.log.debug(Event.CALL, service=call.service, method=call.method, path=call.path, sent=sent, **said)
    if call.changes is not None:
        context.log.always(Event.CHANGED, **call.changes, sent=sent, **said)


def _too_late(call: Call) -> DeadlineExceeded:
    short = "Less time is left than one answer may take" if call.needs else "No time is left"
    return DeadlineExceeded(
        f"{short}, so the call was not sent to the {call.service} service. Ask again, or raise "
        "DETACH_TIMEOUT (and the platform's own limit)."
    )


@contextmanager
def _signing() -> Iterator[None]:
    """What fails here has not befallen the call: it wasn't sent yet, or its token was refused."""
    try:
        yield
    except UpstreamUnavailable as failure:
        failure.unsent = True
        raise


def _jitter() -> float:
    """Keep many instances that failed together from coming back together."""
    return random.uniform(0.0, _FIRST_PAUSE)  # noqa: S311 (nothing secret hangs on it)


def _may_repeat(method: str, outcome: Answer | NoAnswer) -> bool:
    if method != "GET":
        return False
    if isinstance(outcome, Answer):
        return outcome.status in _PASSING or passes(outcome)
    # A read that timed out has had its time; a broken connection is often a kept one gone stale.
    return outcome.broken


def _encodings(headers: Mapping[str, str], secrets: tuple[str, ...]) -> list[str]:
    """What a body is encoded by, at most three of them; `identity` is nothing (RFC 9110, 8.4)."""
    named = (coding.strip().lower() for coding in headers.get("Content-Encoding", "").split(","))
    return [plain_word(coding, secrets) for coding in named if coding not in {"", "identity"}][:3]
