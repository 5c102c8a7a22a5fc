"""Whether a verdict on a mixture is right: what a lie may be called, and where it must be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixture_server import Record, Told

if TYPE_CHECKING:
    from commands import Done
    from mixtures import Mixture

CALLED = {
    "flip": {"corrupt"},
    "drop": {"timeout"},
    "late": {"timeout"},
    "dup": {"duplicate"},
    "junk": {"surplus"},
    "stray": {"surplus"},
    "close": {"closed"},
    "reset": {"reset"},
    "cut": {"closed"},
}
"""What a lie is called where one message is answered at a time."""
AMID = {
    "drop": {"mismatch", "reordered", "truncated"},
    "late": {"truncated"},
    "dup": {"mismatch", "surplus"},
    "junk": {"mismatch", "reordered"},
    "stray": {"mismatch", "corrupt", "reordered", "truncated"},
}
"""What else it may be called amid the replies to other messages."""
ENDS = {"close": {"reset"}, "cut": {"reset"}, "reset": {"closed"}}
"""A close with bytes unread resets a TCP connection; a Unix socket has no reset."""
BEHIND = ("dup", "junk", "stray")
"""Found by a later step, perhaps of a later iteration."""
PASS, FAIL, INCONCLUSIVE = 0, 1, 3


def wrongs(mixture: Mixture, record: Record, done: Done) -> list[str]:
    """What is wrong with the verdict; nothing, if it is right."""
    if record.broke:
        return [f"the server of the mixture broke: {record.broke}"]
    if done.code not in (PASS, FAIL, INCONCLUSIVE) or not done.told:
        return [f"exit code {done.code}: {done.err[-400:]}{done.out[-400:]}"]
    if record.told is None:
        return of_a_right_server(mixture, record, done)
    return of_a_liar(mixture, record.told, done)


def of_a_right_server(mixture: Mixture, record: Record, done: Done) -> list[str]:
    told = done.told
    allowed = (PASS,) if mixture.iterations is not None or mixture.lie else (PASS, INCONCLUSIVE)
    found = []
    if done.code not in allowed:
        kinds = [f"{one['kind']} at {one['step']}" for one in told["faults"]]
        found.append(f"a right server is blamed: {kinds or told['reason']}")
    if mixture.requests is not None and record.requests != mixture.requests:
        found.append(f"the server heard {record.requests} of {mixture.requests} requests")
    if mixture.iterations is not None and told["iterations"] != mixture.iterations:
        found.append(f"{told['iterations']} of {mixture.iterations} iterations are counted")
    if told["exchanges"]["errors"]:
        found.append(f"{told['exchanges']['errors']} errors")
    return found


def of_a_liar(mixture: Mixture, told: Told, done: Done) -> list[str]:
    groups = done.told["faults"]
    count = sum(one["count"] for one in groups)
    if done.code == PASS and may_pass(mixture, told):
        return []
    if done.code != FAIL or not count:
        return [f"the lie {told.lie} at {told.answer.word!r} is unseen: exit code {done.code}"]
    if count > 1:
        return [f"one lie, {count} faults: {[(one['kind'], one['step']) for one in groups]}"]
    group = groups[0]
    example = group["examples"][0]
    called = mixture.talk.called(told) or CALLED[told.lie]
    if told.lie in ENDS:
        called = called | ENDS[told.lie]
    if "-" in group["step"] or (told.lie in BEHIND and not mixture.at_once):
        called = called | AMID.get(told.lie, set())
    if told.lie == "drop" and told.answer.last:
        called = {"closed"}
    if told.lie == "drop" and "half_close" in str(mixture.document):  # then nothing more can come
        called = called | {"closed"}
    if told.lie == "flip" and example["message"].find("regex") >= 0:
        called = {"mismatch"}
    found = [] if group["kind"] in called else [f"{told.lie} is called {group['kind']}"]
    found += misplaced(told, group["step"], example)
    if told.lie == "flip" and group["kind"] == "corrupt":
        found += misquoted(told, example)
    return [f"{one} ({example['message']})" for one in found]


def may_pass(mixture: Mixture, told: Told) -> bool:
    """Whether such a lie may be none: where a server may end an idle connection, a reset may be the
    kernel's word for a message that it had not read; over TLS nobody can tell.
    """
    ended = told.lie == "close" or (told.lie == "drop" and told.answer.last)
    unread = told.lie == "reset" or (ended and mixture.manner.scheme == "tls")
    ends = mixture.talk.may_end and unread
    return ends or (told.lie == "dup" and told.answer.again)


def misplaced(told: Told, step: str, example: dict[str, Any]) -> list[str]:
    word, *who = told.answer.word.split(".")
    seen = [str(example["user"]), str(example["iteration"]), example["socket"]]
    if told.lie in BEHIND:
        who, seen = who[::2], seen[::2]
    found = [f"told of {seen}, not of {who}"] if who and seen != who else []
    amid = told.lie in ENDS and ("-" in step or step.startswith("half_close"))
    if word and not amid and told.lie not in BEHIND and word not in step.split("-"):
        found.append(f"told of step {step!r}, not of {word!r}")
    return found


def misquoted(told: Told, example: dict[str, Any]) -> list[str]:
    if "checksum" in example["message"]:
        return []
    if example["expected"] is None or example["received"] is None or example["offset"] is None:
        return ["no bytes are quoted"]
    at = example["offset"] - example["excerpt_at"]
    expected, received = (bytes.fromhex(example[one]) for one in ("expected", "received"))
    right = told.answer.data[told.answer.flip]
    quoted, meant = (received[at : at + 1], expected[at : at + 1]), bytes([right ^ 1, right])
    if b"".join(quoted) != meant:
        where = f"byte {example['offset']} is quoted as {quoted[0]!r} for {quoted[1]!r}"
        return [f"{where}, not as {meant[:1]!r} for {meant[1:]!r}"]
    return []
