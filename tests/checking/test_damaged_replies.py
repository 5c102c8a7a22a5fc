"""Damaged replies: whatever bytes come, cut anywhere, are right, wrong or not whole: no error."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replies import Case, cases
from rich.console import Console
from samples import measured, report

from loadmux.checking.framed import FrameVerifier
from loadmux.checking.framing import Decoder, Frame, Talkative
from loadmux.checking.judging import RIGHT
from loadmux.checking.verifying import Verifier
from loadmux.errors import Evidence, Kind
from loadmux.report.terminal import render

TOKENS = [
    *(
        b"\r\n",
        b"\n",
        b"*",
        b"$",
        b"|0\r\n",
        b"|1\r\n",
        b">2\r\n",
        b"*1\r\n",
        b"%1\r\n",
        b":",
        b"-1",
    ),
    *(b"+", b"9" * 20, b"9" * 5000, b"f" * 16 + b"\r\n", b"Content-Length: ", b"HTTP/1.1 ", b"0x"),
    *(b"Transfer-Encoding: chunked\r\n", b"\x88\x02", b"\x89\x7f", b"\x81\xff", b"\xff" * 8, b"\0"),
    *(b"\x80", b"b'", b"'", b"\\", b"ok", b"_SB", b"Server received ", b"Hello Client!", b"nan"),
    *(b"inf", b"1e999", b"--", b"\xf0\x9f", b"_\r\n", b",", b"(", b"#t\r\n", b"=", b"!", b"~"),
]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 6),
        st.sampled_from(TOKENS) | st.binary(max_size=6),
        st.sampled_from([1, 1, 1, 2, 50, 3000]),
    ),
    max_size=4,
)
CUTS = st.lists(st.floats(0, 1), max_size=3) | st.none()


@pytest.fixture(scope="module")
def every() -> list[Case]:
    return cases()


def damaged(reply: bytes, edits: list[tuple[float, int, bytes, int]]) -> bytes:
    for place, gone, put, times in edits:
        at = round(place * len(reply))
        reply = reply[:at] + put * times + reply[at + gone :]
    return reply[:20_000]


def chunks(data: bytes, cuts: list[float] | None) -> list[bytes]:
    """`data` cut into pieces; None: byte by byte."""
    if cuts is None:
        return [data[i : i + 1] for i in range(min(len(data), 2000))]
    places = sorted(round(cut * len(data)) for cut in cuts)
    ends = zip([0, *places], [*places, len(data)], strict=True)
    return [data[begin:end] for begin, end in ends if end > begin]


def fed(verifier: Verifier, pieces: list[bytes], ends: bool) -> None:
    """As the driver does, but that nothing is caught."""
    for piece in pieces:
        verifier.feed(piece)
        verifier.answer()
        assert verifier.aside >= 0
        assert verifier.moved in (True, False)
        if verifier.done or verifier.wrong_at is not None:
            return
    if ends:
        verifier.end()


def judged(verifier: Verifier) -> None:
    """What is asked of a verifier afterwards."""
    assert not (verifier.done and verifier.wrong_at is not None)
    assert isinstance(verifier.expected(), bytes)
    problem = verifier.problem()
    if verifier.done:
        assert isinstance(verifier.kept(), bytes)
        assert isinstance(verifier.captured(), dict)
        assert verifier.closes in (True, False)
    elif verifier.wrong_at is None:
        assert len(verifier.owed().splitlines()) == 1
    elif problem is not None:
        assert problem.message
        shown(problem.message, problem.expected, problem.received, problem.offset)


def shown(message: str, expected: bytes | None, received: bytes, offset: int | None) -> None:
    """The report can be printed."""
    stats = measured({"ask": [0.1]})
    stats.record_fault(Evidence(Kind.MISMATCH, message, offset, expected, received, step="ask"))
    console = Console(record=True, width=80, file=None, quiet=True)
    render(report(stats), console)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), EDITS, CUTS, st.booleans())
def test_whatever_comes_is_judged(
    every: list[Case],
    draw: st.DataObject,
    edits: list[tuple[float, int, bytes, int]],
    cuts: list[float] | None,
    ends: bool,
) -> None:
    case = draw.draw(st.sampled_from(every))
    other = draw.draw(st.sampled_from(every)).right if len(edits) == 4 else b""
    data = damaged(case.right + other, edits)
    verifier = case.make()
    fed(verifier, chunks(data, cuts), ends)
    judged(verifier)
    if isinstance(case.framing, Talkative):
        rest = case.framing.unasked(data).rest
        assert data.endswith(rest)
        assert case.framing.begun(rest) in (True, False)


def test_the_right_replies_are_right(every: list[Case]) -> None:
    for case in every:
        for pieces in ([case.right], chunks(case.right, None)):
            verifier = case.make()
            fed(verifier, pieces, True)
            assert verifier.done, (case.step, verifier.problem())


# --- readers that trip --------------------------------------------------------------------------

READER = """
class Tripping(Decoder):
    def feed(self, data):
        return {}[data] if data != b"fine" else Frame(b"", b"")
    def end(self):
        raise RecursionError("too deep")
    def owed(self):
        return "all"
"""


def tripping(module: str) -> Decoder:
    """A decoder with a mistake, as if it stood in this module."""
    space = {"__name__": module, "Decoder": Decoder, "Frame": Frame}
    exec(READER, space)
    made: Decoder = space["Tripping"]()  # type: ignore[operator]
    return made


def test_what_our_own_readers_trip_over_is_a_mismatch() -> None:
    verifier = FrameVerifier(tripping("loadmux.protocols.made_up"), lambda body: RIGHT)
    assert verifier.take(b"odd") == b""
    assert (verifier.done, verifier.wrong_at, bytes(verifier.received)) == (False, 0, b"odd")
    assert verifier.unreadable is not None
    assert verifier.unreadable.kind == Kind.MISMATCH
    assert verifier.unreadable.message == (
        "what came cannot be read (KeyError: b'odd'); if it is right, the mistake is loadmux's"
    )
    verifier = FrameVerifier(tripping("loadmux.protocols.made_up"), lambda body: RIGHT)
    assert verifier.finish()
    assert verifier.unreadable is not None
    assert "RecursionError: too deep" in verifier.unreadable.message


def test_what_a_plugin_trips_over_is_its_own_mistake() -> None:
    verifier = FrameVerifier(tripping("shouter.made_up"), lambda body: RIGHT)
    with pytest.raises(KeyError):
        verifier.take(b"odd")
    with pytest.raises(RecursionError):
        verifier.finish()
