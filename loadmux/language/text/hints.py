"""What somebody who knows another tool probably meant by a key, a scheme or a word of control flow.

`MEANT` maps words of other tools to those of the language, the likeliest first; which of them fits
hangs on where the key stands. `HOMES` says where each word of the language stands that is often
written elsewhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from loadmux.units import quoted

_WORDS = """
run_time: duration, time, test_duration, max_duration, length, runtime, for
wait: sleep, delay, pause, think, think_time, time, duration, timer
pacing: think_time, constant_pacing, interval, wait_time, sleep, delay, wait
gap: delay, interval, sleep, wait
users: vus, clients, concurrency, connections, threads, virtual_users, workers, conns, user_count
max_users: max_vus, max_concurrency, max_clients, max_connections, maxVusers
spawn_rate: ramp_up, rampup, hatch_rate, arrival_rate, ramp
rate: rps, qps, arrival_rate, requests_per_second, throughput, arrivalRate
iterations: requests, loops, count, loop, n, number, repeat, times
repeat: loop, loops, iterations, count
phases: stages, ramping, scenarios, executor
graceful_stop: gracefulStop, stop_timeout, grace
bundled: model, builtin, built_in
url: host, address, server, endpoint, base_url, uri, addr
target: host, url, address, server, endpoint, base_url, uri, addr, targets, system, service
name: title, label, id
description: comment, doc, about
steps: flow, actions, tasks, script, scenario, commands, requests, do
before: setup, on_start, init, begin, start
after: teardown, on_stop, cleanup, finally
variables: vars, params, parameters, data, values, payload, feeders
thresholds: slo, slos, ensure, criteria, limits, assertions, checks
on_error: on_failure, onerror, errors
sockets: connections, conns, channels, socket
timeout: connect_timeout, read_timeout, within
within: timeout, deadline, read_timeout, max_time
send: write, payload, data, message, request, emit, publish, msg, body
expect: check, checks, response, receive, recv, read, match, reply, expected, validate, then
connect: open, dial
close: disconnect, hangup, shutdown
half_close: shutdown, shut_down, eof
cork: tcp_cork, nopush, tcp_nopush, hold, buffer
uncork: flush, un_cork, push
on: socket, sockets, connection, via
for: foreach, for_each, each, in
together: parallel, concurrent, concurrently, fork, all
barrier: rendezvous, sync, synchronize
set: let, assign, var, variables
call: python, function, exec, run, script, code
save: capture, extract, store, as, into, save_as
do: steps, body, then
pieces: chunks, chunk, chunk_size, split, fragments
regex: regexp, pattern, re, matches, match
until: delimiter, terminator, end, eol
oneway: one_way, no_reply, noreply, fire_and_forget
length: size, len, bytes
text: string, str, utf8
hex: bytes, binary, raw
base64: b64
random: bytes, rand
join: concat, parts
times: count, n
closed: close, eof, end
reset: rst, abort
silence: nothing, quiet, none, wait
framing: protocol, codec, parser, frame
count: number, n, size
nodelay: no_delay, tcp_nodelay
receive_buffer: rcvbuf, so_rcvbuf, recv_buffer
send_buffer: sndbuf, so_sndbuf
source: bind, local_address, from, src
linger: so_linger
tls: ssl
to: target, host, url
delimiter: terminator, separator, end
start: begin, prefix, head, stx
end: terminator, suffix, stop, etx
lines_until: multiline, lines, until_line
check: checksum, crc, fcs, lrc
at: offset, position
adjust: adjustment, add
varint: leb128, base128
digits: decimal, ascii
length_prefix: length, prefix, header, size
fixed: size, length
max: limit, max_size, max_length
bytes: size, width
order: endian, endianness, byteorder, byte_order
counts_itself: inclusive, self
csv: file, path
pick: order, strategy
ca: cafile, ca_file, ca_cert
cert: certfile, cert_file, certificate
key: keyfile, key_file, private_key
server_name: sni, servername, hostname
verify: insecure, check, verify_mode
status: code, status_code
headers: header
method: verb
"""

MEANT: dict[str, list[str]] = {}
for _line in _WORDS.strip().splitlines():
    _right, _, _wrong = _line.partition(": ")
    for _word in _wrong.split(", "):
        MEANT.setdefault(_word, []).append(_right)

_IN_LOAD = "users spawn_rate run_time iterations rate max_users phases pacing graceful_stop"
_IN_STEP = (
    "send expect connect half_close close reset wait repeat for set together barrier call on pieces"
    " gap save within stop_reading resume_reading cork uncork"
)
_IN_SOCKET = "framing tls nodelay receive_buffer send_buffer source linger count to"
_AT_TOP = "target variables sockets before steps after load thresholds timeout on_error seed weight"
HOMES: dict[str, str] = {
    **dict.fromkeys(_IN_LOAD.split(), "in 'load'"),
    **dict.fromkeys(_IN_STEP.split(), "in a step of 'steps'"),
    **dict.fromkeys(_IN_SOCKET.split(), "in 'sockets: {NAME: {...}}'"),
    **dict.fromkeys(_AT_TOP.split(), "at the top level"),
    "reply": "in 'target', beside its 'url' or 'bundled'",
}

PLACES = frozenset({"a scenario", "a load", "a phase", "a socket", "a step"})
"""What a word that belongs elsewhere can have strayed into; payloads and options are no such place.
"""

_CONTROL_WORDS = """
if while unless when else elif else_if switch case try catch assert break continue eval lambda
condition conditional then goto print log
"""
_CONTROL = frozenset(_CONTROL_WORDS.split())
PYTHON = (
    "; conditions and computed values are written in Python: 'call: \"helpers:talk\"' runs"
    " 'async def talk(user)' of helpers.py"
)

_JOINED = re.compile(r"(\w+)(?::|=|\s)\s*(.+)", re.DOTALL)

ALIKE, CLOSE = 0.6, 0.8
"""How much two words have in common that may be, and that must be, one misspelt."""


def nearest(name: str, names: Iterable[str], cutoff: float = ALIKE) -> str | None:
    """The one of `names` that is spelt most like it, if any is."""
    if len(name) > 100:
        return None
    return next(iter(difflib.get_close_matches(name, list(names), 1, cutoff)), None)


def meant(key: str, known: Collection[str], what: str = "") -> str | None:
    """The one of the keys `known` of `what` that was probably meant: by its sense, or spelling."""
    said = next((word for word in MEANT.get(key, ()) if word in known), None)
    if said is not None or (what in PLACES and (key in _CONTROL or key in HOMES)):
        return said
    strayed = what in PLACES and any(word in HOMES for word in MEANT.get(key, ()))
    return nearest(key, known, CLOSE if strayed else ALIKE)


def hint(key: str, known: Collection[str], what: str, otherwise: str) -> str:
    """What follows "unknown key KEY in WHAT"; `otherwise` goes before all the known ones."""
    joined = _JOINED.fullmatch(key)
    if joined is not None and joined[1] in known:
        written = f"{joined[1]}: {joined[2]}"
        return f"; write {quoted(written)}, with a space after the colon"
    found = meant(key, known, what)
    if found is not None:
        return f"; did you mean {quoted(found)}?"
    if what in PLACES and key in _CONTROL:
        return PYTHON
    if what in PLACES and key in HOMES:
        return f"; it stands {HOMES[key]}"
    strayed = next((word for word in MEANT.get(key, ()) if word in HOMES), None)
    if what in PLACES and strayed is not None:
        return f"; did you mean {quoted(strayed)}, {HOMES[strayed]}?"
    listed = ", ".join(list(known)[:30]) + (", ..." if len(known) > 30 else "")
    return f"; {otherwise} {listed}" if known else ""
