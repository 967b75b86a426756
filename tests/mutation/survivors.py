"""Mutants that no test can find, each with the reason: they change nothing that anybody could see."""

from __future__ import annotations

_LOOKED_AT_AGAIN = "the same is looked at again behind the lock: without it only the lock is waited for"

_NO_NUMBER = "what is neither text nor number reads as no time either (handler.cloud.messages:seconds_of)"
_HAS_A_URL = "for the type checker: a prepared request has a URL"
_NOT_READ = "requests' adapter takes `stream` and reads an answer's body only when it is asked to, either way"
_OFTEN = "only how often the packed records are sorted out, never what is left of them"
_NO_OBJECT = "what begins otherwise is no JSON object, whoever parses it: this only saves the parsing"
_NEVER_THE_FIRST = "what is looked for lies behind the first letter, or nowhere"
_FRESH_HAS_A_TEXT = "for the type checker: what is fresh has a text"
_IN_VAIN = "a marker from elsewhere is a page fetched in vain: what is gone on from is the last id"
_IN_VAIN_AT_THE_END = "what is not on its way yet is asked for in vain, and nobody reads it"
_SOONER_KNOWN = "without a filter all are wanted: this only saves finding it out"
_ROOM = "it only makes room: nothing is compared any more"
_SOONER = "it lets the next request go out sooner; what comes is the same"
_NO_INTERIM = "an interim answer is never given out as one (handler.cloud.answer_reading)"
_AT_THE_END = "whether the interpreter waits at its end for a look-up that hangs"
_HAS_OPTIONS = "for the type checker: urllib3's pools give options, an empty list at least"
_HAS_A_TIME_OUT = "for the type checker: urllib3 has given the socket a time-out by then"
_NO_TIME_IS_LEFT = "whoever says that the deadline was exceeded says it when no time is left"
_ONE_MORE = "closing the connection's next socket as well costs one connection, and nothing else"
_NOT_ENCODED = "an answer that is encoded was refused just before"
_ENDED_IS_ENDED = "what has ended is looked at again, and found the same"
_RAW_IS_CLOSED = "what holds the socket is closed in the line before"
_THAT_VERY_MOMENT = "only in the one moment that is neither too early nor too late"
_NOBODY_LISTENS = "the standard library's own notice for whoever audits a process, as urllib3 gives it"
_NO_INT = "a length of other digits is none to http.client, whose answer then ends with its connection"
_NO_MORE_PAGES = "the threads that fetch are being ended by then, and take no further page either"
_COLLECTED = "what nobody holds any more is closed by the interpreter at once; this only says so"

_AS_MANY = "the ids are made of the records: there are as many"
_READ_OTHERWISE = "a page that lacks them is read by the slower parser, to the same end"
_THE_SAME_LINE = "requests makes the same line of it: this only saves the making"
_ONLY_A_PROOF = "for the type checker: only a proof finds a server"
_LEFT_OUT_LATER = "what a listed server holds is left out at the end all the same"
_THE_OTHER_PARSER = "plain headers are read by http.client's parser, which takes longer, to the same end"
_THE_OTHER_PARSER_SAYS_SO = "such a line is no plain one, and http.client refuses it by the same bound"
_THE_SAME_POOL = "urllib3 has the same pool of it: this only saves the finding out"
_ENDED_ANYWAY = "whoever began the look ends it as well, at the end of the target or the form"
_TOLD_BY_THE_ANSWER = "for the type checker: without a refusal the token was refused, which the answer tells"
_OF_A_SERVER = "for the type checker: what is detached at a server names one"
_ENDS_BEFORE = "a record that is gone ends the following before anybody asks for its status"
_UNREADABLE_EITHER_WAY = "a beginning that can't be read compares with nothing: the list can't be read either"
_HAS_AN_ID = "for the type checker: an entry without an id was refused (handler.actions.guards)"
_NO_LENGTH = "one more nap, of no length"
_NO_SUCH_KEY = "for the type checker: the table has neither of them"
_HAS_A_STATE = "for the type checker: of a job with an id something is said, unknown at least"
_NAMES_ONE = "a record with attachments is recovered in-use only for one that is named (Recovery._is_stuck)"
_FOUND_STAYS_FOUND = "the rest of the list is read in vain"
_PROVED_IS_KEPT = "for the type checker: what was proved is kept"
_NOTHING_IS_LISTED = "it says whose servers are listed, and here one is asked for by its id"
_HAS_AN_AGE = "for the type checker: a record whose age is not known was refused (Recovery._require_age)"
_NO_STATE_EITHER = "what is no text is none of the states either"
_SIGNED_IN_VAIN = "a request that nobody sends is signed in vain"
_THE_OTHER_READER = "an answer that came whole is read through a file, which takes longer, to the same end"
_NOBODY_ASKS = "whoever opens ahead leaves what fails to the call (BoundedAdapter.open)"
_LOOKED_THROUGH_IN_VAIN = "what can't hold a secret is looked through in vain: this only saves that"
_HOLDS_NONE = "without secrets it holds none: this only saves the looking"
_HOW_SOON = "only how soon the volumes are asked for side by side, to the same end"
_LONGER = "a list that is longer than it need be"
_HAS_A_PORT = "for the type checker: http.client gives a tunnel the usual port where none is said"
_SAME_HEADERS = "the same headers in a slower dictionary"
_NOT_BESIDE = "the one list is waited for before the other goes on, to the same end"
_READ_IN_VAIN = "the rest of the servers is read in vain before the failure is said"
_OF_A_SWEEP = (
    "for the type checker: a sweep's result is of several, and where one was not scanned none is summed"
)
_NO_PASSWORD = "no proxy has a password"
_ONE_EACH = "each work has its result"
_JUDGED_AS_ONE = "the lists of one project were judged so as a whole just before"
_KNOWN_BY_THEN = "for the type checker: where one is not known, no is said just before"
_TWICE = "a server is named twice, and the first alone is told of"
_NO_SUCH_ID = "what no event can ask for may be among them"
_ASKED_FOR = "nothing is recovered that was not asked for (handler.actions.clear:Clearing._steps)"
_ALL_ARE_PLAIN = "for the type checker: lines that are not all plain were left to http.client just before"
_READ_AGAIN = "the same answer is read again, to the same end"
_OF_A_WHOLE_CLOUD = (
    "for the type checker: a whole cloud has a compute service (handler.settings.scope:scope_faults)"
)
_ONE_PROXY = "a transport finds an origin's proxy out once, and asks by no other"
_SLOWER = "the same is read by the slower way, to the same end"
_HAS_A_TOKEN = "for the type checker: whose token was refused had one, and it is kept"
_HAS_AN_END = "for the type checker: a token that tells no end was refused (handler.credentials.identity)"
_AS_ASCII = "what is ASCII is the same when it was encoded and decoded: this only saves that"
_NOT_TOO_MANY = "so few brackets nest no deeper than that: this only saves the counting"
_IS_SIGNED = "for the type checker: what was refused was signed"
_LONGER_THAN_ALL = "no UUID in any spelling is as long: this only saves the looking"
_NO_STATUS_EITHER = "for the type checker: without an id no status is read"
_NO_ENTRIES_EITHER = "for the type checker: without a status no attachments are read"
_LONGER_WAY = "the longer way finds all that the shorter one finds: this only saves time"

EXPLAINED: dict[str, dict[str, str]] = {
    "handler.actions.belonging:Belonging.witness": {
        "self._servers is None or endpoints.witness is not None -> (self._servers is None)": _LOOKED_AT_AGAIN,
    },
    "handler.actions.clear:Clearing._require_let_go": {"self._proof is None -> False": _ONLY_A_PROOF},
    "handler.actions.follow:Follow._look": {
        'attachment.server_id or "" -> (attachment.server_id)': _OF_A_SERVER,
        "job_id is not None and job is not None -> (job_id is not None)": _HAS_A_STATE,
        "False -> True": _ENDS_BEFORE,
        "False -> True (2)": _ENDS_BEFORE,
    },
    "handler.actions.follow:_Seen.status": {"self.volume is not None -> True": _ENDS_BEFORE},
    "handler.actions.follow:Follow.to_end": {
        "began - left >= os_detach.CONFIRM_WITHIN -> (began - left > os_detach.CONFIRM_WITHIN)": (
            _THAT_VERY_MOMENT
        ),
        "spare <= FIRST_PAUSE -> (spare < FIRST_PAUSE)": _THAT_VERY_MOMENT,
    },
    "handler.actions.follow:Follow._wait": {"seconds > 0 -> (seconds >= 0)": _NO_LENGTH},
    "handler.actions.live:Live.look": {'attachment.server_id or "" -> (attachment.server_id)': _OF_A_SERVER},
    "handler.actions.live:Live._require_state": {'server.status or "" -> (server.status)': _NO_SUCH_KEY},
    "handler.cloud.detach_refusals:read_refusal": {'fault.code or "" -> (fault.code)': _NO_SUCH_KEY},
    "handler.actions.live:Live._require_in_time": {
        "self._now() > until -> (self._now() >= until)": _THAT_VERY_MOMENT,
    },
    "handler.actions.live:Live._begin": {
        "200 <= answer.status < 300 -> (answer.status < 300)": _NO_INTERIM,
        "refusal or Refusal.OTHER -> (refusal)": _TOLD_BY_THE_ANSWER,
        'attachment.server_id or "" -> (attachment.server_id)': _OF_A_SERVER,
        'attachment.id or "" -> (attachment.id)': _HAS_AN_ID,
    },
    "handler.actions.dispatch:_joined": {
        "isinstance(part, Sweep) and isinstance(group, ManyResult) -> (isinstance(part, Sweep))": _OF_A_SWEEP,
        "scanned -> True": _OF_A_SWEEP,
        "True -> False": _ONE_EACH,
    },
    "handler.actions.sweep:sweep": {"project.all_projects -> True": _JUDGED_AS_ONE},
    "handler.actions.sweep_candidates:Census.orphans": {"self._servers = set() -> pass": _ROOM},
    "handler.cloud.faults:plain_word": {
        "secrets and holds(value, secrets) -> (holds(value, secrets))": _HOLDS_NONE,
    },
    "handler.actions.lists:count": {
        "counting.done() or census.servers > census.volumes + PAGE -> True": _HOW_SOON,
        "counting.done() or census.servers > census.volumes + PAGE -> (counting.done())": _HOW_SOON,
        "counting.done() -> True": _NOT_BESIDE,
        "failing.set() -> pass": _READ_IN_VAIN,
        "census.servers > census.volumes + PAGE -> (census.servers >= census.volumes + PAGE)": _HOW_SOON,
        "failing.is_set() -> False": _NO_MORE_PAGES,
    },
    "handler.actions.sweep_candidates:Census._add": {
        "project == len(self._held) -> True": _LONGER,
        "self._all or self.wants(volume, (server_id,)) -> (self.wants(volume, (server_id,)))": _SOONER_KNOWN,
        "server in self._servers -> False": _LEFT_OUT_LATER,
    },
    "handler.actions.sweep_candidates:Census._sort_out": {
        "max -> min": _OFTEN,
        "self._room = max(_ROOM, 2 * end) -> pass": _OFTEN,
    },
    "handler.cloud.answer_reading:BoundedAnswer._framed_plainly": {
        "length.isascii() and length.isdigit() -> (length.isdigit())": _NO_INT,
    },
    "handler.actions.os_detach:OsDetach._look": {
        "pause >= until.remaining() -> (pause > until.remaining())": _THAT_VERY_MOMENT,
    },
    "handler.actions.os_detach:post": {
        "200 <= answer.status < 300 -> (answer.status < 300)": _NO_INTERIM,
    },
    "handler.actions.sweep_candidates:Census.add_volumes": {
        "len(self._packed) > self._room -> True": _OFTEN,
        "len(self._packed) > self._room -> (len(self._packed) >= self._room)": _OFTEN,
    },
    "handler.cloud.answer_reading:_BoundedSocket.makefile": {
        "self._sock.gettimeout() or 0.0 -> (self._sock.gettimeout())": _HAS_A_TIME_OUT,
    },
    "handler.actions.early:Early.proven": {
        "self.end() -> pass": _ENDED_ANYWAY,
        "self.end() -> pass (2)": _ENDED_ANYWAY,
    },
    "handler.actions.proof:Proof._require_deletion": {
        (
            "deletion.ended or deletion.since is None or not context.may_pause(pause) -> "
            "(deletion.since is None or not context.may_pause(pause))"
        ): _ENDED_IS_ENDED,
    },
    "handler.cloud.answer_reading:BoundedReads.readinto": {"left <= 0 -> (left < 0)": _THAT_VERY_MOMENT},
    "handler.cloud.answer_reading:BoundedReads.close": {
        "self._raw.close() -> pass": _COLLECTED,
        "super().close() -> pass": _RAW_IS_CLOSED,
    },
    "handler.cloud.answer_reading:_read_headers": {
        "found -> True": _ALL_ARE_PLAIN,
        "len(line) > _LONGEST_LINE -> False": _THE_OTHER_PARSER_SAYS_SO,
        "not all(plain) -> True": _THE_OTHER_PARSER,
    },
    "handler.cloud.answer_reading:_AnswerFile.close": {"super().close() -> pass": _COLLECTED},
    "handler.cloud.paging:Listing._pages": {
        "coming.cancel() -> pass": _IN_VAIN,
        "time.sleep(_HEAD_START) -> pass": _SOONER,
        "True -> False": _AS_MANY,
    },
    "handler.cloud.paging:Listing._at_once": {
        "True -> False": _AS_MANY,
        "window.close() -> pass": _IN_VAIN_AT_THE_END,
    },
    "handler.cloud.connection:_Timed.getresponse": {
        "whole is not None and not more_decrypted(sock) -> False": _THE_OTHER_READER,
        "self.timeout or left -> (self.timeout)": _HAS_A_TIME_OUT,
    },
    "handler.cloud.connection:_Timed._authority": {
        "self._tunnel_port or port -> (self._tunnel_port)": _HAS_A_PORT,
    },
    "handler.cloud.connection:_Timed._read_on": {"False -> True (2)": _NOT_ENCODED},
    "handler.cloud.connection:_TimedPool.open": {
        "conn.close() -> pass": _COLLECTED,
        "raise -> pass": _NOBODY_ASKS,
    },
    "handler.cloud.paging:record": {
        "False -> True": _READ_OTHERWISE,
        "False -> True (2)": _READ_OTHERWISE,
    },
    "handler.cloud.paging:Listing.pages": {
        "isinstance(fault, DeadlineExceeded) or self.deadline.expired -> (self.deadline.expired)": (
            _NO_TIME_IS_LEFT
        ),
    },
    "handler.cloud.paging:_hint": {"max -> min": _IN_VAIN},
    "handler.credentials.stores.base:CachedSecret.current": {
        "text is not None and self.fresh -> (self.fresh)": _FRESH_HAS_A_TEXT,
    },
    "handler.cloud.connection:_Timed._new_conn": {
        "self.socket_options or () -> (self.socket_options)": _HAS_OPTIONS,
        'sys.audit("http.client.connect", self, self.host, self.port) -> pass': _NOBODY_LISTENS,
    },
    "handler.cloud.connection:_Timed._spoilt": {"self.sock is sock -> True": _ONE_MORE},
    "handler.cloud.connection:_Timed.request": {
        "time.monotonic() > self.latest -> (time.monotonic() >= self.latest)": _THAT_VERY_MOMENT,
    },
    "handler.cloud.connection:_Timed.connect": {"self.timeout or 0.0 -> (self.timeout)": _HAS_A_TIME_OUT},
    "handler.cloud.connection:BoundedAdapter.get_connection_with_tls_context": {
        "pool is None -> True": _THE_SAME_POOL,
        'request.url or "" -> (request.url)': _HAS_A_URL,
        "proxies -> False": _ONE_PROXY,
        "proxies -> True": _ONE_PROXY,
    },
    "handler.cloud.connection:BoundedAdapter.request_url": {
        'request.url or "" -> (request.url)': _HAS_A_URL,
        'proxies and not origin.startswith("https:") -> True': _THE_SAME_LINE,
        'proxies and not origin.startswith("https:") -> (proxies)': _THE_SAME_LINE,
        "proxies and not origin.startswith(\"https:\") -> (not origin.startswith('https:'))": _THE_SAME_LINE,
    },
    "handler.actions.recover:Recovery._require_nowhere": {
        (
            "created is None or marked is None or created <= marked -> (created is None or created <= marked)"
        ): _HAS_AN_AGE,
    },
    "handler.actions.rolling_back:RollingBack._require_failed": {
        "not isinstance(api, NovaDetach) or since is None -> (not isinstance(api, NovaDetach))": _HAS_AN_AGE,
    },
    "handler.actions.freeing:Freeing.free": {
        "pause >= until.remaining() -> (pause > until.remaining())": _THAT_VERY_MOMENT,
    },
    "handler.actions.recover:Recovery._old_enough": {"moment is not None -> True": _KNOWN_BY_THEN},
    "handler.actions.scan:Scan._scan": {"row.server_id in known -> False": _TWICE},
    "handler.actions.stuck:_servers": {"entry.server_id is not None -> True": _NO_SUCH_ID},
    "handler.actions.scan:_read_row": {"isinstance(status, str) -> True": _NO_STATE_EITHER},
    "handler.actions.recover:Recovery.recover": {
        (
            "target.live and target.recover and not self._proof.leaves(living) -> (target.live and (not "
            "self._proof.leaves(living)))"
        ): _ASKED_FOR,
        (
            'volume.status == "in-use" and volume.attachments and all(entry.id != named for entry in '
            "entries) an… -> (volume.status == 'in-use' and volume.attachments and all((entry.id != named "
            "for entry in entries)))"
        ): _NAMES_ONE,
    },
    "handler.actions.sight:holds": {"found and not alone -> False": _FOUND_STAYS_FOUND},
    "handler.actions.whole_cloud:WholeCloud.require_still": {"True -> False": _NOTHING_IS_LISTED},
    "handler.actions.whole_cloud:WholeCloud.__call__": {"self._known(signed) -> False": _LOOKED_AT_AGAIN},
    "handler.actions.whole_cloud:WholeCloud.sight": {
        "self.endpoints.sight is None -> True": _SIGNED_IN_VAIN,
        "seen is None -> False": _PROVED_IS_KEPT,
    },
    "handler.cloud.detaching:_read_detaches": {
        "began is None or began >= since -> (began >= since)": _UNREADABLE_EITHER_WAY,
    },
    "handler.cloud.dial:dial": {"left <= 0 -> (left < 0)": _THAT_VERY_MOMENT},
    "handler.cloud.connection:split": {"end >= 0 -> (end > 0)": _NEVER_THE_FIRST},
    "handler.cloud.endpoints:find_scopes_endpoints": {'url or "" -> (url)': _OF_A_WHOLE_CLOUD},
    "handler.cloud.redaction:_sought": {
        "0 < _least(secret) <= len(text) -> (0 < _least(secret))": _LOOKED_THROUGH_IN_VAIN,
    },
    "handler.cloud.redaction:_readings": {
        "nested < _NESTED -> True": _LOOKED_THROUGH_IN_VAIN,
        "nested < _NESTED -> (nested <= _NESTED)": _LOOKED_THROUGH_IN_VAIN,
        "len(found) >= least -> True": _LOOKED_THROUGH_IN_VAIN,
    },
    "handler.cloud.redaction:_undone": {"after != text -> True": _LOOKED_THROUGH_IN_VAIN},
    "handler.cloud.redaction:_has_digits": {
        "len(kept) < _BLOCK -> (len(kept) <= _BLOCK)": _LOOKED_THROUGH_IN_VAIN,
    },
    "handler.cloud.redaction:_share": {
        "len(text) - _BLOCK -> (len(text) + _BLOCK)": _LOOKED_THROUGH_IN_VAIN,
        (
            "text[block : block + _BLOCK] in secret and any( text[start : start + _RUN] in secret for s"
            "tart in r… -> (any((text[start:start + _RUN] in secret for start in range(max(0, block - _"
            "BLOCK), min(block, last) + 1))))"
        ): _LOOKED_THROUGH_IN_VAIN,
    },
    "handler.cloud.faults:upstream": {"fault or read_fault(answer) -> (read_fault(answer))": _READ_AGAIN},
    "handler.cloud.faults:_fault": {
        'message and message.lstrip().startswith("{") -> (message)': _NO_OBJECT,
    },
    "handler.cloud.faults:retry_hint": {"isinstance(hint, (str, int)) -> True": _NO_NUMBER},
    "handler.cloud.volumes:_uuid": {
        (
            "not isinstance(value, str) or len(value) > _LONGEST_ID -> (not isinstance(value, str))"
        ): _LONGER_THAN_ALL,
        "len(value) > _LONGEST_ID -> (len(value) >= _LONGEST_ID)": _LONGER_THAN_ALL,
    },
    "handler.cloud.volumes:read_volume": {
        (
            "volume_id is None or status is None or not isinstance(entries, list) -> "
            "(status is None or not isinstance(entries, list))"
        ): _NO_STATUS_EITHER,
        (
            "volume_id is None or status is None or not isinstance(entries, list) -> "
            "(volume_id is None or not isinstance(entries, list))"
        ): _NO_ENTRIES_EITHER,
    },
    "handler.cloud.messages:shown_id": {"usual -> False": _LONGER_WAY},
    "handler.cloud.service:text_of": {"value.isascii() -> False": _AS_ASCII},
    "handler.credentials.token:SecretTokens._obtain": {
        "token.expires_at or now -> (token.expires_at)": _HAS_AN_END,
    },
    "handler.credentials.token:SecretTokens.renew": {
        "kept is not None and kept.token.value != refused -> (kept.token.value != refused)": _HAS_A_TOKEN,
        "kept is not None and kept.content == content -> (kept.content == content)": _HAS_A_TOKEN,
        "kept is not None and self._futile != futile -> (self._futile != futile)": _HAS_A_TOKEN,
    },
    "handler.credentials.token_auth:TokenAuth.renew": {
        'refused.headers.get("X-Auth-Token") or "" -> (refused.headers.get(\'X-Auth-Token\'))': _IS_SIGNED,
    },
    "handler.model.bounded_json:_too_deep": {
        'text.count("[") + text.count("{") <= MAX_DEPTH -> False': _NOT_TOO_MANY,
        (
            'text.count("[") + text.count("{") <= MAX_DEPTH -> '
            "(text.count('[') + text.count('{') < MAX_DEPTH)"
        ): _NOT_TOO_MANY,
    },
    "handler.model.values:canonical": {"_is_canonical(spelling) -> False": _SLOWER},
    "handler.model.values:epoch": {"_is_plain_moment(moment) -> False": _SLOWER},
    "handler.cloud.transport:Transport._exchange": {"adapter.close() -> pass": _COLLECTED},
    "handler.cloud.transport:Transport._prepare": {"call.headers -> True": _SAME_HEADERS},
    "handler.cloud.transport:Transport._sent_by": {
        "not response.raw.closed -> False": _COLLECTED,
        "not response.raw.closed -> True": _ENDED_IS_ENDED,
        "True -> False": _NOT_READ,
        "False -> True": _NOT_ENCODED,
        "proxies -> True": _NO_PASSWORD,
    },
}
"""By place, then by change, why it is no gap. A change `*` stands for all in that place."""
