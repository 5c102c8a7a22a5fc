"""TLS: right servers pass, wrong certificates are told apart, and so are ends."""

from __future__ import annotations

import math
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import needs
import pytest
from driving import (
    POLLERS,
    Driven,
    Handler,
    Server,
    answering,
    drive,
    drive_scenario,
    reset,
    scenario_for,
)
from transports import Authority, TlsServer

from loadmux.running.generators.worker import Worker

pollers = pytest.mark.parametrize("poller", POLLERS)

MESSAGE = b"the quick brown fox jumps over the lazy dog"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def text_for(
    authority: Authority, steps: str = "", options: str = "", timeout: str = "1s", users: int = 1
) -> str:
    steps = steps or f"[{{name: talk, send: '{MESSAGE.decode()}', expect: '${{sent}}'}}]"
    options = options or f"ca: {authority.path}"
    return (
        f"sockets: {{main: {{tls: {{{options}}}}}}}\nsteps: {steps}\n"
        f"load: {{users: {users}, iterations: 3}}\ntimeout: {timeout}\n"
    )


def echo(data: bytes) -> bytes:
    return data


def talk(
    authority: Authority,
    handler: Handler,
    poller: str | None = None,
    steps: str = "",
    timeout: str = "1s",
) -> Driven:
    with TlsServer(handler, authority.server()) as server:
        return drive(text_for(authority, steps, timeout=timeout), server.url, poller)


def end_tcp(connection: socket.socket) -> None:
    """A FIN without close_notify before it."""
    socket.socket.shutdown(connection, socket.SHUT_WR)


def end_tls(connection: socket.socket) -> None:
    """close_notify, and no FIN: the TCP connection stays open."""
    assert isinstance(connection, ssl.SSLSocket)
    connection.settimeout(0)
    try:
        connection.unwrap()
    except ssl.SSLError:
        connection.settimeout(None)


# --- right servers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        ("[h2, http/1.1]", ["http/1.1", "h2"], "http/1.1"),
        ("[h2]", ["h2"], "h2"),
        ("h2", ["h2"], "h2"),
        ("[h2]", ["smtp"], "None"),
        ("[h2]", [], "None"),
    ],
)
def test_protocols_are_offered(
    authority: Authority, offered: str, known: list[str], chosen: str
) -> None:
    context = authority.server()
    if known:
        context.set_alpn_protocols(known)

    def says(connection: socket.socket, number: int) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        connection.recv(100)
        connection.sendall(str(connection.selected_alpn_protocol()).encode())

    steps = f"[{{send: which, expect: '{chosen}'}}, {{close: main}}]"
    text = text_for(authority, steps, f"ca: {authority.path}, alpn: {offered}")
    with TlsServer(says, context) as server:
        assert drive(text, server.url).kinds == {}


@pollers
def test_an_honest_server_has_no_faults(authority: Authority, poller: str) -> None:
    driven = talk(authority, answering(echo), poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3
    assert driven.stats.connects.right == 1


@pollers
def test_a_drip_of_records_is_slow_but_right(authority: Authority, poller: str) -> None:
    def drip(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            for byte in chunk:
                connection.sendall(bytes([byte]))

    driven = talk(authority, drip, poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_a_record_dripped_in_pieces_is_right(authority: Authority, poller: str) -> None:
    """Each read of the kernel's buffer brings a part of a record, and often nothing readable."""

    def relay(plain: socket.socket, number: int) -> None:
        with socket.create_connection(plain_address) as behind:
            back = threading.Thread(target=pump, args=(plain, behind, 65536))
            back.start()
            pump(behind, plain, 7)
            back.join()

    def pump(source: socket.socket, sink: socket.socket, size: int) -> None:
        try:
            while data := source.recv(65536):
                for at in range(0, len(data), size):
                    sink.sendall(data[at : at + size])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    with TlsServer(answering(echo), authority.server()) as server, Server(relay) as front:
        plain_address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        driven = drive(text_for(authority), front.url.replace("tcp:", "tls:"), poller)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_large_messages_go_both_ways_at_once(authority: Authority, poller: str) -> None:
    """Larger than all buffers: the kernel takes parts of records, and both sides must read."""
    steps = "[{name: talk, send: {random: 3MiB}, expect: {rule: echo}}]"
    driven = talk(authority, answering(echo), poller, steps, timeout="10s")
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_a_half_close_lets_the_rest_come(authority: Authority, poller: str) -> None:
    def after_the_end(connection: socket.socket, number: int) -> None:
        said = b""
        while chunk := connection.recv(65536):
            said += chunk
        connection.sendall(b"you said " + said)
        end_tls(connection)
        end_tcp(connection)

    steps = (
        "[{send: hello}, {half_close: main}, {name: rest, expect: you said hello},"
        " {name: end, expect: closed}]"
    )
    driven = talk(authority, after_the_end, poller, steps)
    assert driven.kinds == {}
    assert driven.stats.steps["end"].right == 3


@pollers
def test_an_end_behind_the_reply_is_seen_without_a_fin(authority: Authority, poller: str) -> None:
    def reply_and_end(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        end_tls(connection)
        connection.recv(65536)

    steps = "[{name: talk, send: hello, expect: hello}, {name: end, expect: closed}]"
    driven = talk(authority, reply_and_end, poller, steps)
    assert driven.kinds == {}
    assert driven.stats.steps["end"].right == 3


def test_the_server_sees_an_end_in_order(authority: Authority) -> None:
    """close_notify comes at the end of a user, after `close`, and after `half_close`."""
    ends: list[bytes] = []

    def serve(connection: socket.socket, number: int) -> None:
        while chunk := connection.recv(65536):
            connection.sendall(chunk)
        ends.append(chunk)  # an end without close_notify raises SSLEOFError instead

    steps = "[{send: hello, expect: hello}, {close: main}]"
    assert talk(authority, serve, steps=steps).kinds == {}
    assert talk(authority, serve).kinds == {}
    assert ends == [b""] * 4


# --- certificates -------------------------------------------------------------------------------


def refused(
    text: str, context: ssl.SSLContext, host: str = "127.0.0.1", name: str = ""
) -> tuple[str, str]:
    """The kind and the message of the one fault; no user got through."""
    with TlsServer(answering(echo), context, host, name) as server:
        driven = drive(text, server.url)
    [fault] = driven.faults
    assert driven.unreachable == fault.message
    assert not driven.stats.connects.right
    return fault.kind.value, fault.message


def test_a_certificate_of_an_unknown_ca_is_not_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    kind, message = refused(text_for(authority), Authority(tmp_path).server())
    assert kind == "tls"
    assert "the server's certificate is not trusted" in message
    assert "'tls: {ca: FILE}'" in message


def test_the_system_does_not_trust_it_either(authority: Authority) -> None:
    kind, message = refused(text_for(authority, options="verify: true"), authority.server())
    assert kind == "tls"
    assert "not trusted" in message


@pytest.mark.parametrize(
    ("names", "options", "name"),
    [
        (["elsewhere.example"], "", ""),
        (["127.0.0.1"], "", "localhost"),
        ([], ", server_name: elsewhere.example", ""),
    ],
)
def test_a_certificate_for_another_name(
    authority: Authority, names: list[str], options: str, name: str
) -> None:
    text = text_for(authority, options=f"ca: {authority.path}{options}")
    kind, message = refused(text, authority.server(*names), name=name)
    assert kind == "tls"
    assert "the server's certificate is for another name" in message


def test_an_expired_certificate(authority: Authority) -> None:
    kind, message = refused(text_for(authority), authority.server(expired=True))
    assert kind == "tls"
    assert "the server's certificate has expired" in message


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_version_of_tls_is_asked_for(authority: Authority, version: str) -> None:
    spoken: list[str | None] = []

    def serve(connection: socket.socket, number: int) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        spoken.append(connection.version())
        answering(echo)(connection, number)

    options = f"ca: {authority.path}, min_version: {version}, max_version: {version}"
    with TlsServer(serve, authority.server()) as server:
        driven = drive(text_for(authority, options=options), server.url)
    assert driven.kinds == {}
    assert spoken == [f"TLSv{version}"]


def test_a_server_that_speaks_only_what_is_too_old(authority: Authority) -> None:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    kind, message = refused(
        text_for(authority, options=f"ca: {authority.path}, min_version: 1.3"), context
    )
    assert kind == "tls"
    assert "protocol version" in message


def test_without_verification_any_certificate_will_do(authority: Authority) -> None:
    context = authority.server("elsewhere.example", expired=True)
    with TlsServer(answering(echo), context) as server:
        driven = drive(text_for(authority, options="verify: false"), server.url)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


def test_a_server_name_is_sent_and_checked(authority: Authority) -> None:
    asked: list[str | None] = []
    context = authority.server("elsewhere.example")
    context.sni_callback = lambda sock, name, context: asked.append(name)
    text = text_for(authority, options=f"ca: {authority.path}, server_name: elsewhere.example")
    with TlsServer(answering(echo), context) as server:
        assert drive(text, server.url).kinds == {}
    assert asked == ["elsewhere.example"]


def test_over_ipv6(authority: Authority) -> None:
    needs.ipv6()
    with TlsServer(answering(echo), authority.server(), "::1") as server:
        assert server.url.startswith("tls://[::1]:")
        driven = drive(text_for(authority), server.url)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


def test_a_client_certificate_lets_us_in(authority: Authority) -> None:
    cert, key = authority.client("somebody")
    options = f"ca: {authority.path}, cert: {cert}, key: {key}"
    with TlsServer(answering(echo), authority.server(clients=True)) as server:
        driven = drive(text_for(authority, options=options), server.url)
    assert driven.kinds == {}
    assert driven.stats.steps["talk"].right == 3


@pollers
def test_without_a_client_certificate_the_server_says_so(authority: Authority, poller: str) -> None:
    """TLS 1.3 tells it after the handshake: the first reply is an alert."""
    with TlsServer(answering(echo), authority.server(clients=True)) as server:
        driven = drive(text_for(authority), server.url, poller)
    assert driven.kinds == {"tls": 3}
    assert "the server refused it (tlsv13 alert certificate required)" in driven.faults[0].message


def test_a_protocol_that_the_server_does_not_have(authority: Authority) -> None:
    context = authority.server()
    context.set_ciphers("AES128-SHA")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    kind, message = refused(text_for(authority), context)
    assert kind == "tls"
    assert "the server refused it" in message


# --- no TLS at the other end --------------------------------------------------------------------


def handshake_with(authority: Authority, handler: Handler, poller: str) -> Driven:
    with Server(handler) as server:
        url = server.url.replace("tcp:", "tls:")
        return drive(text_for(authority, timeout="300ms"), url, poller)


@pollers
@pytest.mark.parametrize("says", [lambda hello: b"220 welcome\r\n", echo], ids=["banner", "echo"])
def test_a_server_that_does_not_speak_tls(
    authority: Authority, poller: str, says: Callable[[bytes], bytes]
) -> None:
    driven = handshake_with(authority, answering(says), poller)
    assert driven.kinds == {"tls": 1}
    assert "does not speak TLS" in driven.faults[0].message
    assert driven.unreachable is not None


@pollers
def test_a_server_that_closes_instead_of_a_handshake(authority: Authority, poller: str) -> None:
    def close_it(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.close()

    driven = handshake_with(authority, close_it, poller)
    assert driven.kinds == {"tls": 1}
    assert "closed the connection during the TLS handshake" in driven.faults[0].message


@pollers
def test_a_server_that_resets_instead_of_a_handshake(authority: Authority, poller: str) -> None:
    def reset_it(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        reset(connection)

    driven = handshake_with(authority, reset_it, poller)
    assert driven.kinds == {"reset": 3}
    assert "during the TLS handshake" in driven.faults[0].message


@pollers
def test_a_handshake_that_never_ends(authority: Authority, poller: str) -> None:
    def silent(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass

    driven = handshake_with(authority, silent, poller)
    assert driven.kinds == {"connect_timeout": 1}
    assert "no TLS handshake within 0.3 s" in driven.faults[0].message


# --- lies under TLS -----------------------------------------------------------------------------


@pollers
def test_a_flipped_byte_is_corrupt_at_its_offset(authority: Authority, poller: str) -> None:
    def flip(chunk: bytes) -> bytes:
        return chunk[:7] + bytes([chunk[7] ^ 1]) + chunk[8:]

    driven = talk(authority, answering(flip), poller)
    assert driven.kinds == {"corrupt": 3}
    assert driven.faults[0].offset == 7


@pollers
@pytest.mark.parametrize("sent", [0, 10])
def test_an_early_end_in_order(authority: Authority, poller: str, sent: int) -> None:
    def end_early(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536)[:sent])
        end_tls(connection)
        end_tcp(connection)

    driven = talk(authority, end_early, poller)
    assert driven.kinds == {"closed": 3}
    assert "close_notify" not in driven.faults[0].message


@pollers
@pytest.mark.parametrize("sent", [0, 10])
def test_an_end_without_close_notify(authority: Authority, poller: str, sent: int) -> None:
    def cut_off(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536)[:sent])
        end_tcp(connection)
        connection.recv(65536)

    driven = talk(authority, cut_off, poller)
    assert driven.kinds == {"closed": 3}
    assert "without TLS close_notify" in driven.faults[0].message


@pollers
def test_a_cut_connection_is_not_closed_in_order(authority: Authority, poller: str) -> None:
    def reply_and_cut_off(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536))
        end_tcp(connection)
        connection.recv(65536)

    steps = "[{name: talk, send: hello, expect: hello}, {name: end, expect: closed}]"
    driven = talk(authority, reply_and_cut_off, poller, steps)
    assert driven.kinds == {"closed": 3}
    assert driven.faults[0].step == "end"
    assert "without TLS close_notify" in driven.faults[0].message


@pollers
def test_a_reset_in_mid_reply(authority: Authority, poller: str) -> None:
    def reset_it(connection: socket.socket, number: int) -> None:
        connection.sendall(connection.recv(65536)[:10])
        reset(connection)

    assert talk(authority, reset_it, poller).kinds == {"reset": 3}


@pollers
def test_what_is_no_record_is_told(authority: Authority, poller: str) -> None:
    def babble(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        socket.socket.sendall(connection, b"\x17\x03\x03\x00\x20" + bytes(32))
        connection.recv(65536)

    def stand_still(worker: Worker) -> None:
        """Until later than all that happens: that may end a connection, but breaks no record."""
        worker.loop.woke = math.inf

    with TlsServer(babble, authority.server()) as server:
        scenario = scenario_for(text_for(authority), server.url)
        urls = {name: one.url for name, one in scenario.servers.items() if one.url is not None}
        for prepare in (None, stand_still):
            driven = drive_scenario(scenario, urls, poller, prepare)
            assert (driven.kinds, driven.stats.unjudged) == ({"tls": 3}, 0)
            assert "the TLS connection failed" in driven.faults[0].message


@pollers
def test_silence_and_surplus(authority: Authority, poller: str) -> None:
    def silent(connection: socket.socket, number: int) -> None:
        while connection.recv(65536):
            pass

    assert talk(authority, silent, poller, timeout="300ms").kinds == {"timeout": 3}
    twice = answering(lambda chunk: chunk + b"and more")
    assert set(talk(authority, twice, poller).kinds) == {"surplus"}


def test_a_reply_on_the_wrong_tls_socket_is_crosstalk(authority: Authority) -> None:
    arrived: list[socket.socket] = []
    both = threading.Barrier(2)

    def cross(connection: socket.socket, number: int) -> None:
        said = connection.recv(65536)
        arrived.append(connection)
        both.wait(5)
        other = next(one for one in arrived if one is not connection)
        other.sendall(said)
        connection.recv(65536)

    text = text_for(
        authority, "[{name: talk, send: 'I am user ${user}', expect: '${sent}'}]", users=2
    ).replace("iterations: 3", "iterations: 1")
    with TlsServer(cross, authority.server()) as server:
        driven = drive(text, server.url)
    assert driven.kinds == {"crosstalk": 2}


# --- a client that does not speak TLS -----------------------------------------------------------

PLAIN = "steps: [{name: talk, send: hello, expect: {length: 9}}]\nload: {users: 1, iterations: 1}\n"
ALERT = b"\x15\x03\x03\x00\x02\x02\x0a"


def alerting(connection: socket.socket, number: int) -> None:
    """As servers of TLS do, but OpenSSL's."""
    connection.recv(65536)
    connection.sendall(ALERT)
    connection.close()


@pytest.mark.parametrize(
    ("expect", "kind"),
    [
        ("{length: 9}", "closed"),
        ("{length: 5}", "surplus"),
        ("world", "mismatch"),
        ("{resp: OK}", "mismatch"),
    ],
)
def test_an_alert_says_that_the_server_speaks_tls(expect: str, kind: str) -> None:
    with Server(alerting) as server:
        driven = drive(PLAIN.replace("{length: 9}", expect) + "timeout: 300ms\n", server.url)
    hint = f"; it answers with a TLS alert: it speaks TLS, write tls:{server.url[4:]}"
    assert driven.kinds == {kind: 1}
    assert driven.faults[0].message.endswith(hint)


def test_bytes_like_an_alert_later_on_say_nothing() -> None:
    def handler(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"hello")
        connection.recv(65536)
        connection.sendall(ALERT)
        connection.recv(65536)

    steps = "steps: [{send: a, expect: hello}, {send: b, expect: world}]\n"
    with Server(handler) as server:
        driven = drive(steps + "load: {users: 1, iterations: 1}\ntimeout: 300ms\n", server.url)
    assert driven.kinds == {"mismatch": 1}
    assert "TLS" not in driven.faults[0].message


def test_over_tls_an_alert_in_the_data_is_data(authority: Authority) -> None:
    driven = talk(authority, answering(lambda data: ALERT))
    assert list(driven.kinds) == ["mismatch"]
    assert "write tls" not in driven.faults[0].message


def test_a_server_that_closes_at_once_on_a_usual_port_may_speak_tls() -> None:
    """An address of loopback that no other process has: there the port is free."""
    host = f"127.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}.1"
    with socket.create_server((host, 8443)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)

        serving = threading.Thread(target=serve)
        serving.start()
        driven = drive(PLAIN, f"tcp://{host}:8443")
        serving.join()
    assert driven.kinds == {"closed": 1}
    hint = f"; TLS is usual on this port: if it is spoken there, write tls://{host}:8443"
    assert driven.faults[0].message.endswith(hint)
