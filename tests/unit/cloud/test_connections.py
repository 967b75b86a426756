"""Connections are kept, replaced, checked and led through proxies; nothing is followed, nothing else sent."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from requests.models import PreparedRequest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from handler import __version__
from handler.cloud.connection import BoundedAdapter, _Timed, _TlsConnection, split
from handler.cloud.dial import dial
from handler.cloud.messages import Call
from handler.errors import NoAnswer
from handler.settings.environment import EnvironmentReader
from handler.settings.trust import Trust, read_trust
from handler.tracing import Span
from tests.unit.actions.answers import TOKEN, Clock, Signer
from tests.unit.cloud.raw import (
    Connection,
    RawServer,
    Script,
    answer,
    get,
    post,
    raw_server,
    transport,
)
from tests.unit.contexts import call_context

TLS = Path(__file__).parent / "tls"
ISSUER = Trust(file=str(TLS / "certificate.pem"))


def _serves(body: bytes = b"{}", status: str = "200 OK", *headers: bytes) -> Script:
    def script(client: Connection) -> None:
        while client.request():
            client.say(answer(body, status, *headers))

    return script


def test_a_connection_is_kept_for_the_next_call() -> None:
    with raw_server(_serves()) as server, transport() as sender:
        for _ in range(5):
            sender.send(get(server.url), call_context())

    assert (server.connections, len(server.requests)) == (1, 5)


def test_what_is_sent_does_not_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short call would wait for the other side's notice of its head otherwise, 40 ms."""
    at_once: list[int] = []

    def dialled(*where: Any) -> socket.socket:
        sock = dial(*where)
        at_once.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return sock

    monkeypatch.setattr("handler.cloud.connection.dial", dialled)
    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context())

    assert at_once == [1]


@pytest.mark.parametrize("call", [get, post])
def test_a_kept_connection_that_has_gone_stale_is_replaced(call: Callable[[str], Call]) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(answer())  # and closes, although it did not say so

    with raw_server(script) as server, transport() as sender:
        for _ in range(3):
            # noticed before anything is sent: a POST that nobody took would be looked after for seconds
            counted = call_context()
            assert sender.send(call(server.url), counted).status == 200
            assert counted.calls == 1
            assert server.closed.acquire(timeout=10)

    assert server.connections == 3
    assert len(server.requests) == 3


def test_a_connection_that_breaks_just_as_a_read_is_sent_is_mended() -> None:
    def script(client: Connection) -> None:
        client.request()
        if client.number > 0:
            client.say(answer())

    with raw_server(script) as server, transport() as sender:
        counted = call_context()
        assert sender.send(get(server.url), counted).status == 200

    assert counted.calls == 2


def test_a_connection_that_breaks_under_a_post_is_no_answer() -> None:
    def script(client: Connection) -> None:
        client.request()

    with raw_server(script) as server, transport() as sender, pytest.raises(NoAnswer) as raised:
        sender.send(post(server.url), call_context())

    assert raised.value.broken
    assert len(server.requests) == 1


def test_a_request_leaves_in_one_piece() -> None:
    sent: list[bytes] = []

    def script(client: Connection) -> None:
        sent.append(client.socket.recv(65536))
        client.say(answer())

    with raw_server(script) as server, transport() as sender:
        call = post(server.url)._replace(headers={"X-A": "1", "content-type": "text/plain"})
        sender.send(call, call_context())

    host = server.url.partition("://")[2]
    head, _, body = sent[0].decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert (line, headers[0], body) == ("POST /v2/thing HTTP/1.1", f"Host: {host}", "{}")
    assert {"X-A: 1", "Content-Type: application/json", "Content-Length: 2"} <= set(headers)
    assert len({name.partition(":")[0].lower() for name in headers}) == len(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\nX-B"),
        ("X-A", "1\r"),
        ("X-A", "\x00"),
        ("X-A\r\nX-B", "1"),
        ("X A", "1"),
    ],
)
def test_a_header_that_would_be_two_is_not_sent(name: str, value: str) -> None:
    with raw_server(_serves()) as server, transport() as sender:
        with pytest.raises(ValueError, match="can't stand there"):
            sender.send(get(server.url)._replace(headers={name: value}), call_context())
        assert sender.send(get(server.url), call_context()).status == 200

    assert len(server.requests) == 1


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-B: 2", "/a\x00"])
def test_a_path_that_would_be_more_is_not_sent(path: str) -> None:
    """urllib3 has escaped such a path before it comes here."""
    connection = _Timed("127.0.0.1", 1, timeout=1)
    ours, theirs = socket.socketpair()
    connection.sock, connection.latest = ours, float("inf")
    with ours, theirs:
        with pytest.raises(ValueError, match="can't stand there"):
            connection.request("GET", path, headers={"X-A": "1"})
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


@pytest.mark.parametrize(
    ("host", "port", "url", "authority"),
    [
        ("volume.example", 80, "/v2", "volume.example"),
        ("volume.example", 8776, "/v2", "volume.example:8776"),
        ("::1", 80, "/v2", "[::1]"),
        ("::1", 8776, "/v2", "[::1]:8776"),
        ("proxy.example", 3128, "http://volume.example:8776/v2", "volume.example:8776"),
    ],
)
def test_a_request_says_whom_it_is_for(host: str, port: int, url: str, authority: str) -> None:
    assert _Timed(host, port)._authority(url) == authority


def test_a_request_through_a_tunnel_says_whom_it_is_for() -> None:
    connection = _TlsConnection("proxy.example", 3128)
    connection.set_tunnel("volume.example", 443)

    assert connection._authority("/v2") == "volume.example"


def test_an_answer_that_came_whole_gives_its_connection_back_once() -> None:
    with raw_server(_serves()) as server, transport() as sender:
        for _ in range(3):
            sender.send(get(server.url), call_context())
        (pool,) = sender._adapter._pools.values()
        kept = [connection for connection in pool.pool.queue if connection is not None]

    assert (server.connections, len(kept)) == (1, 1)


def test_an_answer_of_several_reads_is_read_to_its_end() -> None:
    large = b"x" * 100_000

    def script(client: Connection) -> None:
        while client.request():
            client.say(answer(large))

    with raw_server(script) as server, transport() as sender:
        bodies = [sender.send(get(server.url), call_context()).body for _ in range(2)]

    assert bodies == [large, large]
    assert server.connections == 1


def test_closing_a_transport_closes_its_connections_and_it_may_be_used_again() -> None:
    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context())
        sender.close()
        assert sender.send(get(server.url), call_context()).status == 200

    assert server.connections == 2


def test_fifty_threads_share_a_transport() -> None:
    statuses: list[int] = []

    with raw_server(_serves()) as server, transport() as sender:

        def ask() -> None:
            statuses.extend(sender.send(get(server.url), call_context()).status for _ in range(4))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 200


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("method", [get, post], ids=["GET", "POST"])
def test_a_redirect_is_not_followed_and_the_token_not_sent_to_its_host(status: str, method: object) -> None:
    with raw_server(_serves()) as elsewhere, transport() as sender:
        location = f"Location: {elsewhere.url}/taken".encode()
        with raw_server(_serves(b"", status, location)) as server:
            call = get(server.url) if method is get else post(server.url)
            redirected = sender.send(call, call_context(), Signer())

        assert redirected.status == int(status[:3])
        assert len(server.requests) == 1
        assert elsewhere.connections == 0


def test_only_what_is_needed_is_sent() -> None:
    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context(), Signer())

    head, *lines = server.requests[0].decode().split("\r\n\r\n")[0].split("\r\n")
    assert head == "GET /v2/thing HTTP/1.1"
    assert sorted(line.partition(":")[0] for line in lines) == [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Cache-Control",
        "Host",
        "User-Agent",
        "X-Auth-Token",
    ]
    assert f"User-Agent: evs-detach/{__version__}" in lines


def test_no_cookie_that_a_cloud_sets_is_sent_back() -> None:
    with raw_server(_serves(b"{}", "200 OK", b"Set-Cookie: track=me")) as server, transport() as sender:
        sender.send(get(server.url), call_context())
        sender.send(get(server.url), call_context())

    assert b"cookie" not in server.requests[1].lower()


def test_a_netrc_of_the_machine_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login root password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context())

    assert b"authorization" not in server.requests[0].lower()


@contextmanager
def _proxied(monkeypatch: pytest.MonkeyPatch, script: Script, user: str = "") -> Iterator[RawServer]:
    with raw_server(script) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", f"://{user}"))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", f"://{user}"))
        yield proxy


def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with _proxied(monkeypatch, _serves(b'{"by": "proxy"}'), "me:hunter2@") as proxy, transport() as sender:
        got = sender.send(get("http://volume.example"), call_context())

    assert (got.body, got.secrets) == (b'{"by": "proxy"}', ("hunter2",))
    head, *lines = proxy.requests[0].decode().split("\r\n")
    assert head == "GET http://volume.example/v2/thing HTTP/1.1"
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:hunter2').decode()}" in lines


def test_the_environment_s_proxies_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with _proxied(monkeypatch, _serves()) as proxy, transport() as sender:
        sender.send(get("http://volume.example"), call_context())
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        sender.send(get("http://volume.example"), call_context())

    assert len(proxy.requests) == 2


def test_a_host_that_the_environment_exempts_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with _proxied(monkeypatch, _serves()) as proxy, raw_server(_serves()) as server, transport() as sender:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        sender.send(get(server.url), call_context())

    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_a_proxy_that_refuses_is_no_answer_and_its_password_stays_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing = _serves(b"", "407 Proxy Authentication Required", b"Connection: close")

    with (
        _proxied(monkeypatch, refusing, "me:hunter2@"),
        transport() as sender,
        pytest.raises(NoAnswer, match="The connection to the volume service failed") as raised,
    ):
        sender.send(get("https://volume.example"), call_context())

    assert "hunter2" not in repr(raised.value) + str(raised.value)


def test_a_proxy_that_drips_its_consent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.drip(b"HTTP/1.1 200 Connection established\r\n\r\n", 0.2)

    with (
        _proxied(monkeypatch, script) as proxy,
        transport(connect_timeout=0.3, read_timeout=0.3) as sender,
        pytest.raises(NoAnswer),
    ):
        sender.send(post("https://volume.example"), call_context(seconds=3))

    assert proxy.requests[0].startswith(b"CONNECT volume.example:443 ")


def test_a_proxy_that_says_more_than_its_consent_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(b"HTTP/1.1 200 Connection established\r\n\r\n" + answer(b"{}"))
        client.hang_until_the_end()

    with _proxied(monkeypatch, script), transport() as sender, pytest.raises(NoAnswer):
        sender.send(post("https://volume.example"), call_context())


def _over_tls(script: Script) -> Script:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")

    def secured(client: Connection) -> None:
        with context.wrap_socket(client.socket, server_side=True) as client.socket:
            script(client)

    return secured


def _https(server: RawServer, host: str = "127.0.0.1") -> str:
    return f"https://{host}:{server.url.rpartition(':')[2]}"


def test_a_certificate_of_an_unknown_issuer_is_refused_before_anything_is_sent() -> None:
    with (
        raw_server(_over_tls(_serves())) as server,
        transport() as sender,
        pytest.raises(NoAnswer, match="set DETACH_CA_BUNDLE"),
    ):
        sender.send(get(_https(server)), call_context(), Signer())

    assert server.requests == []
    assert server.connections == 1


def test_a_connection_that_could_not_be_opened_ahead_is_made_anew() -> None:
    with raw_server(_over_tls(_serves())) as server, transport() as sender:
        with sender.opened_ahead([_https(server)], call_context()):
            pass
        with pytest.raises(NoAnswer, match="set DETACH_CA_BUNDLE"):
            sender.send(get(_https(server)), call_context(), Signer())

    assert server.requests == []
    assert server.connections == 2


def test_a_private_issuer_is_trusted_by_its_file_and_its_connection_is_kept() -> None:
    with (
        raw_server(_over_tls(_serves())) as server,
        transport(trust=ISSUER) as sender,
    ):
        for _ in range(2):
            assert sender.send(get(_https(server)), call_context(), Signer()).status == 200

    assert server.connections == 1
    assert TOKEN.encode() in server.requests[1]


@pytest.mark.parametrize(
    "name", ["DETACH_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_a_private_issuer_is_trusted_whichever_setting_names_it(name: str) -> None:
    trust = read_trust(EnvironmentReader({name: str(TLS / "certificate.pem")}))
    with raw_server(_over_tls(_serves())) as server, transport(trust=trust) as sender:
        assert sender.send(get(_https(server)), call_context(), Signer()).status == 200


def test_a_private_issuer_is_trusted_by_a_folder_of_openssl_s(tmp_path: Path) -> None:
    # `openssl x509 -subject_hash` of the certificate
    (tmp_path / "f6d4602e.0").write_bytes((TLS / "certificate.pem").read_bytes())
    trust = read_trust(EnvironmentReader({"SSL_CERT_DIR": str(tmp_path)}))
    with raw_server(_over_tls(_serves())) as server, transport(trust=trust) as sender:
        assert sender.send(get(_https(server)), call_context(), Signer()).status == 200


def test_whom_one_call_trusts_the_others_do_not() -> None:
    """Vault's own authority is nobody else's, at the same host and with a connection that is kept."""
    with raw_server(_over_tls(_serves())) as server, transport() as sender:
        call = get(_https(server))
        vault = call._replace(trust=ISSUER)
        assert sender.send(vault, call_context()).status == 200
        with pytest.raises(NoAnswer, match="TLS with the volume service failed"):
            sender.send(call, call_context())


def test_a_certificate_of_another_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *args: original("127.0.0.1", *args))

    with (
        raw_server(_over_tls(_serves())) as server,
        transport(trust=ISSUER) as sender,
        pytest.raises(NoAnswer, match="TLS with the volume service failed"),
    ):
        sender.send(get(_https(server, "volume.example")), call_context(), Signer())

    assert server.requests == []


def test_an_answer_over_tls_is_bounded_in_time_too() -> None:
    def drip(client: Connection) -> None:
        client.request()
        client.drip(answer(b"{}"), 0.2)

    with (
        raw_server(_over_tls(drip)) as server,
        transport(read_timeout=0.3, trust=ISSUER) as sender,
        pytest.raises(NoAnswer, match="did not answer in time"),
    ):
        sender.send(get(_https(server)), call_context())


def test_a_tls_handshake_that_never_ends_is_bounded() -> None:
    def mute(client: Connection) -> None:
        client.hang_until_the_end()

    with raw_server(mute) as server, transport(connect_timeout=0.3) as sender, pytest.raises(NoAnswer):
        sender.send(post(_https(server)), call_context())


def test_a_ca_bundle_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    with (
        raw_server(_over_tls(_serves())) as server,
        transport(trust=Trust(str(tmp_path / "none.pem"))) as sender,
        pytest.raises(NoAnswer),
    ):
        sender.send(get(_https(server)), call_context())


def test_the_signer_has_the_last_word_on_the_headers() -> None:
    class Sealed(Signer):
        def __call__(self, request: PreparedRequest) -> PreparedRequest:
            super().__call__(request)
            request.headers["X-Seal"] = str(len(request.headers))
            return request

    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context(), Sealed())

    assert b"X-Seal: 6" in server.requests[0]


def test_no_answer_is_taken_from_a_cache_unasked() -> None:
    """A 404 may be kept by default (RFC 9111): an old one would prove a live server gone."""
    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), call_context(), Signer())

    assert b"\r\nCache-Control: no-cache\r\n" in server.requests[0]


def test_an_answer_that_drips_through_a_proxy_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.drip(answer(b"{}"), 0.1)

    with (
        _proxied(monkeypatch, script),
        transport(read_timeout=0.3) as sender,
        pytest.raises(NoAnswer, match="did not answer in time"),
    ):
        sender.send(get("http://volume.example"), call_context())


class _Socket:
    """Notes what time-outs it is given."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("handler.cloud.connection.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.mark.parametrize(("took", "left"), [(1.0, 2.0), (3.0, 0.001), (4.0, 0.001)])
def test_tls_gets_what_connecting_left_of_the_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, took: float, left: float
) -> None:
    connected = _Socket()

    def dialled(_host: str, _port: int, seconds: float, _options: object) -> _Socket:
        assert seconds == 3.0
        clock.sleep(took)
        return connected

    monkeypatch.setattr("handler.cloud.connection.dial", dialled)
    connection = _Timed("volume.example", timeout=3.0)

    connection.connect()

    assert connected.timeouts == [left]


@pytest.mark.parametrize(("took", "left"), [(1.0, 2.0), (3.0, 0.001)])
def test_tls_gets_what_a_proxy_s_consent_left_of_the_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, took: float, left: float
) -> None:
    def consents(_connection: object) -> None:
        clock.sleep(took)

    connected = _Socket()
    connection = _Timed("proxy.example", timeout=3.0)
    monkeypatch.setattr("handler.cloud.connection.dial", lambda *_: connected)
    monkeypatch.setattr("urllib3.connection.HTTPConnection._tunnel", consents)
    connection.connect()

    connection._tunnel()

    assert connected.timeouts == [3.0, 3.0, left]


def test_a_kept_connection_forgets_what_time_the_last_answer_had() -> None:
    connection, connected = _Timed("volume.example", timeout=3.0), Mock()
    connection.sock, connection.latest = connected, float("inf")

    connection.request("GET", "/")

    assert connected.settimeout.call_args.args == (3.0,)


def test_an_answer_behind_which_more_is_decrypted_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    read_on: list[bytes] = []
    connection, connected = _Timed("volume.example", timeout=3.0), Mock()
    connected.recv.return_value = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    connection.sock, connection.until = connected, float("inf")
    monkeypatch.setattr(connection, "_read_on", read_on.append)

    for behind in (0, 1):
        connected.pending.return_value = behind
        answered = connection.getresponse()
        assert (answered is None) is bool(behind)
    assert read_on == [connected.recv.return_value]


def test_an_answer_is_waited_for_no_longer_than_there_is_time(clock: Clock) -> None:
    connection, connected = _Timed("volume.example", timeout=3.0), Mock()
    connection.sock, connection.until = connected, clock() + 1
    connected.recv.side_effect = TimeoutError

    with pytest.raises(TimeoutError):
        connection.getresponse()

    assert [call.args for call in connected.settimeout.call_args_list] == [(1.0,)]


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_no_answer_is_waited_for_when_time_is_up(clock: Clock, late: float) -> None:
    connection = _Timed("volume.example", timeout=3.0)
    connection.until = clock() - late

    with pytest.raises(TimeoutError, match="no time is left for the answer"):
        connection.getresponse()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://volume.example", ("https://volume.example", "/")),
        ("https://volume.example/", ("https://volume.example", "/")),
        ("https://volume.example/v2/a?b=/c", ("https://volume.example", "/v2/a?b=/c")),
    ],
)
def test_a_url_has_an_origin_and_what_follows_it(url: str, parts: tuple[str, str]) -> None:
    assert split(url) == parts


@pytest.mark.parametrize(
    ("trust", "file", "folder"),
    [
        (Trust(), DEFAULT_CA_BUNDLE_PATH, None),
        (Trust(file="a.pem"), "a.pem", None),
        (Trust(folder="certs"), None, "certs"),
    ],
)
def test_certifi_s_issuers_are_trusted_where_nobody_names_others(
    trust: Trust, file: str | None, folder: str | None
) -> None:
    request = PreparedRequest()
    request.url = "https://volume.example/"

    _, tls = BoundedAdapter().build_connection_pool_key_attributes(request, trust)

    assert (tls["ca_certs"], tls["ca_cert_dir"]) == (file, folder)


class _Followed(Span):
    """A span that other services are told of, and that keeps what came of it."""

    def __init__(self) -> None:
        self.ended: list[dict[str, object]] = []

    def end(self, **facts: object) -> None:
        self.ended.append(facts)

    @property
    def headers(self) -> dict[str, str]:
        return {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def test_a_call_says_what_it_is_part_of_and_what_came_of_it() -> None:
    context = call_context()
    context.span = span = _Followed()
    with raw_server(_serves()) as server, transport() as sender:
        sender.send(get(server.url), context)

    assert b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n" in server.requests[0]
    assert [(facts["status"], facts["sent"]) for facts in span.ended] == [(200, True)]
