"""The contract tests that plugin authors get, on all that loadmux has of each kind."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import needs
import pytest
from websocket_frames import served

from loadmux.checking import rules, verifying
from loadmux.checking.checked import Checked
from loadmux.checking.framing import Decoder, Frame, FrameError, Framing
from loadmux.checking.marked import LinesUntil, Marked
from loadmux.checking.prefixed import LengthPrefixed
from loadmux.checking.rules import Rule, rule
from loadmux.checking.simple import Delimited, Fixed, UntilClose
from loadmux.checking.simple import line as line_framing
from loadmux.language.messages import framings, payloadforms, replies
from loadmux.language.steps import stepkeys
from loadmux.plugins.registry import BUILT_IN
from loadmux.protocols import resp
from loadmux.protocols.resp_values import Resp
from loadmux.report.jsonfile import as_json
from loadmux.testing import check_forms, check_framer, check_reporter, check_rule, check_step

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin"


@pytest.fixture
def http() -> ModuleType:
    """Imported when a test wants it: it needs a package that loadmux does not."""
    needs.package("h11")
    return importlib.import_module("loadmux.protocols.http")


@pytest.fixture
def websocket() -> ModuleType:
    needs.package("h11")
    needs.package("wsproto")
    return importlib.import_module("loadmux.protocols.websocket")


# --- framings -----------------------------------------------------------------------------------

HEADED = {b"a\0\0\x05bcdef": b"def", b"\0\0\0\x02\0\0": b""}


@pytest.mark.parametrize(
    ("framing", "frames"),
    [
        (line_framing(64), {b"hello\n": b"hello", b"\n": b""}),
        (Delimited(b"\r\n", 64), {b"a\rb\r\n": b"a\rb"}),
        (LengthPrefixed(2, "little", True, 64), {b"\x05\x00abc": b"abc"}),
        (LengthPrefixed(3, "big", at=1, header=6, adjust=-2, max_size=64), HEADED),
        (
            LengthPrefixed(varint=True, at=1, max_size=200),
            {b"\0\x80\x01" + b"x" * 128: b"x" * 128, b"\x31\0": b""},
        ),
        (LengthPrefixed(digits=3, counts_itself=True, max_size=64), {b"006abc": b"abc"}),
        (Marked(b"<", b">>", 64), {b"<a>b>>": b"a>b", b"<>>": b""}),
        (LinesUntil("b.*", 64), {b"a\nb\r\n": b"a\nb", b"bc\n": b"bc"}),
        (Checked(LengthPrefixed(1), "sum8"), {b"\x03ab\xc3": b"ab", b"\1\0": b""}),
        (Checked(line_framing(), "xor8"), {b"abc\x60\n": b"abc", b"a\x6b\x0a\n": b"ak"}),
        (Fixed(4), {b"abcd": b"abcd"}),
    ],
)
def test_built_in_framings(framing: Framing, frames: dict[bytes, bytes]) -> None:
    check_framer(framing, frames)


def test_until_close() -> None:
    check_framer(UntilClose(64), {b"all of it": b"all of it"}, until_end=True)


RESP = {
    b"+OK\r\n": b"OK",
    b"-ERR no\r\n": b"ERR no",
    b":-12\r\n": b"-12",
    b"$-1\r\n": b"",
    b"$0\r\n\r\n": b"",
    b"$4\r\n\r\n\r\n\r\n": b"\r\n\r\n",
    b"*-1\r\n": b"",
    b"*0\r\n": b"*0\r\n",
    b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n": b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n",
    b"*2\r\n*0\r\n*1\r\n+x\r\n": b"*2\r\n*0\r\n*1\r\n+x\r\n",
    b"_\r\n": b"",
    b"#t\r\n": b"t",
    b",1.5e3\r\n": b"1.5e3",
    b"(123456789012345678901234567890\r\n": b"123456789012345678901234567890",
    b"!5\r\nERR x\r\n": b"ERR x",
    b"=7\r\ntxt:abc\r\n": b"abc",
    b"%1\r\n+k\r\n:1\r\n": b"%1\r\n+k\r\n:1\r\n",
    b"~2\r\n+a\r\n+b\r\n": b"~2\r\n+a\r\n+b\r\n",
    b"|1\r\n+k\r\n+v\r\n+OK\r\n": b"OK",
    b"|0\r\n+OK\r\n": b"OK",
    b"*2\r\n|1\r\n+k\r\n*1\r\n+v\r\n+a\r\n+b\r\n": b"*2\r\n|1\r\n+k\r\n*1\r\n+v\r\n+a\r\n+b\r\n",
}


def test_resp() -> None:
    malformed = [
        *(b"OK\r\n", b"\r\n", b":1x\r\n", b":\r\n", b"$a\r\n", b"$-2\r\n", b"*x\r\n", b"*01\r\n"),
        *(b"$2\r\nabc\r\n", b"$2\r\nab\rx", b"#x\r\n", b",one\r\n", b"_x\r\n", b"$99999\r\n"),
        *(b"*99999\r\n", b"*1\r\n" * 40, b"%9999\r\n", b"*2\r\n+a\r\nb"),
    ]
    check_framer(Resp(1024), RESP, malformed=malformed)
    pushes = {wire: wire for wire in (b">1\r\n+a\r\n", b">0\r\n", b">2\r\n*1\r\n+a\r\n:1\r\n")}
    check_framer(Resp(1024, pushes=True), {**RESP, **pushes}, malformed=malformed)
    behind = {wire + reply: body for wire in pushes for reply, body in RESP.items()}
    check_framer(Resp(1024), behind, malformed=malformed, tight=False)


def test_a_status_that_never_ends_is_refused() -> None:
    with pytest.raises(FrameError):
        Resp().decoder().feed(b"+" + b"x" * 100_000)


OK = b"HTTP/1.1 200 OK\r\n"
HTTP = {
    OK + b"Content-Length: 5\r\n\r\nhello": b"hello",
    OK + b"Content-Length: 0\r\n\r\n": b"",
    OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n": b"hello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nTrailer: t\r\n\r\n": b"x",
    b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n": b"",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n": b"",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx": b"x",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx": b"x",
}


def test_http(http: ModuleType) -> None:
    malformed = [
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        OK + b"Content-Length: five\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"bad header\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ]
    check_framer(http.Http(4096), HTTP, malformed=malformed)


def test_http_head_has_no_body(http: ModuleType) -> None:
    framing = http.Http(4096).answering(b"HEAD / HTTP/1.1\r\n")
    check_framer(framing, {OK + b"Content-Length: 5\r\n\r\n": b""})


def test_http_until_the_end(http: ModuleType) -> None:
    frames = {OK + b"\r\nhello": b"hello", b"HTTP/1.0 200 OK\r\n\r\nold": b"old"}
    check_framer(http.Http(4096), frames, until_end=True)


def test_websocket(websocket: ModuleType) -> None:
    long, longer = b"x" * 130, b"y" * 300
    frames = {
        served("text", b"hello"): b"hello",
        served("binary", b""): b"",
        served("text", "\u20ac".encode()): "\u20ac".encode(),
        served("binary", long): long,
        b"\x01\x02he\x80\x03llo": b"hello",
    }
    with_pings = {
        b"\x01\x02\xe2\x82\x89\x01p\x8a\x01q\x80\x01\xac": "\u20ac".encode(),
        served("ping", b"are you there") + served("text", b"yes"): b"yes",
        served("pong", b"who asked") + served("binary", longer): longer,
    }
    check_framer(websocket.WebSocket(max_size=1024), with_pings, tight=False)
    malformed = [
        b"\x80\x01x",
        b"\x01\x01a\x01\x01b",
        b"\x83\x00",
        b"\xc1\x00",
        b"\x81\x81\0\0\0\0a",
        b"\x81\x01\xff",
        b"\x09\x00",
        b"\x88\x01x",
        b"\x88\x02\x03\xed",
        b"\x82\x7e\x00\x05",
        b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
        served("close", b"\x03\xe8bye"),
    ]
    check_framer(websocket.WebSocket(max_size=1024), frames, malformed=malformed)


def test_websocket_pong_and_close_where_they_are_wanted(websocket: ModuleType) -> None:
    framing = websocket.WebSocket(max_size=1024)
    check_framer(replace(framing, wants="pong"), {served("pong", b"x"): b"x"})
    closes = {served("close", b"\x03\xe8bye"): b"bye", served("close", b""): b""}
    check_framer(replace(framing, wants="close"), closes, until_end=True)


# --- forms --------------------------------------------------------------------------------------


def test_forms_of_resp() -> None:
    check_forms(
        "resp",
        resp.FRAMER,
        payloads=["[PING]", '[SET, "${user}", 5]', "[ECHO, {hex: 00ff}]", "[ECHO, true]"],
        replies=[
            *("OK", "5", "-1.5", "null", "true", "[]", "[one, [2, null]]", '"${user}"'),
            *("{error: ERR}", "{regex: 'a(?P<x>b)'}", "{any: true}", "{map: {a: 1, b: [c]}}"),
            *("{integer: 5}", '{integer: "${iteration}"}'),
        ],
        wrong=["PING", "[]", "5", "{a: b}", "[[nested]]", "[null]", "[{wrong: form}]"],
        wrong_replies=["{}", "{any: 5}", "{any: true, error: x}", "{eror: x}", "{map: 5}", "0x10"],
    )


def test_forms_of_http(http: ModuleType) -> None:
    check_forms(
        "http",
        http.FRAMER,
        payloads=[
            *("/", '"/${user}"', "{}", "{method: PUT, path: /a, body: {random: 9}}"),
            *("{headers: {X-Id: 5, Host: h}}", "{method: HEAD, headers: {Expect: 100-continue}}"),
        ],
        replies=[
            *("200", "[200, 404]", "{}", "{status: 204}", "{headers: {a: b, c: {regex: d+}}}"),
            *("{body: {length: 5}}", "{body: {regex: '(?P<id>.*)'}}", '{body: "${user}"}'),
        ],
        wrong=[
            *("5", "[a]", "{methd: GET}", "{method: CONNECT}", '{method: "a b"}', '"/a b"'),
            *(
                "{headers: {'a b': c}}",
                '{headers: {a: "b\\nc"}}',
                "{headers: 5}",
                "{path: 5, x: 1}",
            ),
            "{headers: {Content-Length: 3}, body: toolong}",
        ],
        wrong_replies=["abc", "99", "1000", "[]", "{status: ok}", "{status: 700}", "{bdy: x}"],
    )


def test_forms_of_websocket(websocket: ModuleType) -> None:
    check_forms(
        "websocket",
        websocket.FRAMER,
        framing="{websocket: {path: /a, subprotocol: v1, headers: {Origin: 'http://h'}}}",
        payloads=["hi", '"${user}"', "{text: hi}", "{binary: {random: 9}}", "{ping: ''}"],
        replies=["hi", "{text: {regex: a}}", "{binary: {length: 9}}", "{pong: ''}"],
        wrong=["[a]", "{}", "{text: a, binary: b}", "{txt: a}", "{text: {hex: ff}}", "{close: 5}"],
        wrong_replies=["[a]", "{}", "{ping: a}", "{close: bye}"],
    )


# --- rules --------------------------------------------------------------------------------------

SERVERS: dict[str, Callable[[bytes], bytes]] = {
    "echo": bytes,
    "upper": bytes.upper,
    "ok": lambda chunk: b"ok",
    "hello": lambda chunk: b"Hello Client!",
    "received": lambda chunk: b"Server received " + repr(chunk).encode(),
    "upper_sb": lambda chunk: chunk.upper() + b"_SB",
    "sink": lambda chunk: b"",
}


@pytest.mark.parametrize("name", [name for name in SERVERS if not rule(name).weak])
def test_built_in_rules(name: str) -> None:
    check_rule(local(rule(name)), SERVERS[name], [b"a", b"hello", b"it's", b"\x00\xff\n"])


@pytest.mark.parametrize("name", [name for name in SERVERS if rule(name).weak])
def test_rules_that_only_count(name: str) -> None:
    check_rule(local(rule(name)), SERVERS[name], [b"a", b"ab"])


@dataclass(frozen=True)
class Local:
    """A built-in rule by its name, which is how it travels."""

    name: str

    def likely(self, sent: bytes) -> bytes | None:
        return rule(self.name).likely(sent)

    def verifier(self) -> verifying.RuleVerifier:
        return rule(self.name).verifier()


def local(built_in: Rule) -> Rule:
    """The same rule with functions that can be pickled."""
    own = Local(built_in.name)
    return Rule(own.name, own.likely, own.verifier, built_in.weak)


# --- reporters ----------------------------------------------------------------------------------


def test_the_json_report() -> None:
    check_reporter(lambda report: json.dumps(as_json(report)))


# --- what the checks find out -------------------------------------------------------------------


class EagerDecoder(Decoder):
    """Forgets that a delimiter can be cut."""

    def __init__(self) -> None:
        self._taken = b""

    def feed(self, data: bytes) -> Frame | None:
        body, found, rest = data.partition(b"\r\n")
        self._taken += body
        return Frame(self._taken, rest) if found else None

    def owed(self) -> str:
        return "the end of the line"


@dataclass(frozen=True)
class Eager(Framing):
    def decoder(self) -> Decoder:
        return EagerDecoder()


def test_a_delimiter_that_is_cut_is_found_out() -> None:
    with pytest.raises(AssertionError, match="byte by byte: no frame came"):
        check_framer(Eager(), {b"abc\r\n": b"abc"})


def test_a_wrong_body_is_found_out() -> None:
    with pytest.raises(AssertionError, match="the body is b'abc', not b'abd'"):
        check_framer(line_framing(), {b"abc\n": b"abd"})


def test_a_malformed_stream_that_is_accepted_is_found_out() -> None:
    with pytest.raises(AssertionError, match="is malformed, and gave"):
        check_framer(line_framing(), {b"abc\n": b"abc"}, malformed=[b"xyz\n"])


class Careless(rules.ExactRule):
    def feed(self, data: bytes) -> bytes:
        self.received += data
        self.done = self.idle = len(self.received) >= len(self._reply)
        return b""


def careless() -> verifying.RuleVerifier:
    return Careless(bytes)


def test_a_rule_that_only_counts_bytes_is_found_out() -> None:
    with pytest.raises(AssertionError, match="is accepted for b'abc'"):
        check_rule(Rule("careless", bytes, careless), bytes, [b"abc"])


def test_a_likely_reply_that_the_server_would_not_send_is_found_out() -> None:
    wrong = Rule("echo", bytes.upper, careless_echo)
    with pytest.raises(AssertionError, match=r"likely\(b'abc'\) is b'ABC', not b'abc'"):
        check_rule(wrong, bytes, [b"abc"])


def careless_echo() -> verifying.RuleVerifier:
    return rules.ExactRule(bytes)


def test_a_form_that_does_not_load_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"should load: .*a command is a list"):
        check_forms("resp", resp.FRAMER, payloads=["PING"])
    with pytest.raises(AssertionError, match="is wrong, and was accepted"):
        check_forms("resp", resp.FRAMER, wrong=["[PING]"])


def test_a_reporter_of_nothing_is_found_out() -> None:
    with pytest.raises(AssertionError, match="returned nothing"):
        check_reporter(lambda report: "")


# --- the example --------------------------------------------------------------------------------


def test_the_example_keeps_its_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    framer = importlib.import_module("shouter.framer")
    step = importlib.import_module("shouter.step")
    rule_module = importlib.import_module("shouter.rule")
    reporter = importlib.import_module("shouter.reporter")
    frames = {b"HI!": b"HI", b"!": b"", b"AB C!": b"AB C"}
    check_framer(framer.FRAMER.read_framing(None, 1024), frames, malformed=[b"hi!", b"HEy"])
    check_forms("shout", framer.FRAMER, payloads=["hi"], replies=["hi", "5"], wrong=["[]", "'a!'"])
    check_step(
        "converse", step.STEP, right=["[a]", "{texts: [a]}"], wrong=["a", "{}", "{texts: 5}"]
    )
    check_rule(rule_module.RULE, rule_module.loud, [b"a", b"abc"])
    check_reporter(reporter.report)


# --- names --------------------------------------------------------------------------------------


def test_no_plugin_can_take_a_word_of_the_language() -> None:
    """The registry, which the language is read with, cannot ask the declarations themselves."""
    assert set(stepkeys.KEYS) <= BUILT_IN["steps"]
    forms = (*replies.REPLY.forms.values(), *payloadforms.FORMS, *framings.FORMS)
    beside = {key.name for form in forms for key in form.beside} | {framings.MAX.name}
    assert {form.name for form in forms} | beside <= BUILT_IN["framers"]
