"""The loader on wrong files: the exact line for each mistake, its place, and no line too many."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest

from loadmux.errors import ScenarioErrors
from loadmux.language.loading import load

MODELS = ("select", "poll", "epoll", "selectors", "threads")
TARGET = "target: tcp://127.0.0.1:9\n"
STEPS_LINE = "steps: [{send: a}]\n"
ACTIONS = (
    "send, expect, connect, start_tls, half_close, close, reset, stop_reading, resume_reading,"
    " cork, uncork, wait, repeat, for, transaction, set, together, barrier, call"
)


def mistakes_of(text: str) -> list[str]:
    """`LINE:COL: what is wrong` of each mistake, in the file's order."""
    with pytest.raises(ScenarioErrors) as caught:
        load("s.yaml", text=text, models=MODELS)
    lines = [str(error) for error in caught.value.errors]
    assert not any("\n" in line for line in lines)
    return [line.removeprefix("s.yaml:") for line in lines]


WHOLE_FILES = [
    (
        "target: unix:///" + "x" * 107 + "\n" + STEPS_LINE,
        "1:9: the path of a unix socket has at most 107 bytes",
    ),
    (
        "target: tcp://:80\n" + STEPS_LINE,
        "1:9: 'tcp://:80' needs a host and a port; write tcp://HOST:PORT, tls://HOST:PORT, "
        "udp://[::1]:PORT or"
        " unix:///PATH",
    ),
    (
        "target: {ulr: 'tcp://h:1'}\n" + STEPS_LINE,
        "1:10: unknown key 'ulr' in a target; did you mean 'url'?",
    ),
    (
        "target: {a b: {url: 'tcp://h:1'}}\n" + STEPS_LINE,
        "1:10: 'a b' is no name for a target; use letters, digits, '_', '-' and '.'",
    ),
    ("a: &a []\n*a : 1\n", "1:4: a key must be a text, not a list or a mapping"),
    (
        TARGET + STEPS_LINE + "k" * 101 + ": 1\n",
        "3:1: unknown key '" + "k" * 57 + "...' in a scenario; its keys are name, description,"
        " target, variables, sockets, before, steps, after, load, thresholds, timeout, on_error,"
        " seed, weight",
    ),
    (
        TARGET + "sockets: {a: {source: 5}}\n" + STEPS_LINE,
        "2:23: 'source' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "",
        "1:1: the scenario is empty; it needs at least a 'target:' and 'steps:'",
    ),
    (
        "# c\n",
        "1:1: the scenario is empty; it needs at least a 'target:' and 'steps:'",
    ),
    (
        "null\n",
        "1:1: the scenario is empty; it needs at least a 'target:' and 'steps:'",
    ),
    (
        "- a\n- b\n",
        "1:1: a scenario is a mapping with keys such as 'steps:', not a list",
    ),
    (
        "hello\n",
        "1:1: a scenario is a mapping with keys such as 'steps:', not the text 'hello'",
    ),
    (
        "a: [1\n",
        "1:4: the '[' that opens here is never closed; close it with ']'",
    ),
    (
        "a:\n\tb: 1\n",
        "2:1: a tab cannot indent a line; indent with spaces, not tabs",
    ),
    (
        "steps: {on: g[0]}\n",
        "1:14: inside {...} and [...] write texts such as 'group[0]' and '${name}' in quotes, and a"
        " comma between two entries",
    ),
    (
        "a: 1\n---\nb: 2\n",
        "2:1: a second document; a scenario file holds one, without '---'",
    ),
    (
        "x: !!python/object:os.system {}\n",
        "1:4: the tag '!!python/object:os.system' is not allowed; write a plain value",
    ),
    (
        "x: !mine 3\n",
        "1:4: the tag '!mine' is not allowed; write a plain value",
    ),
    (
        "x: !!int abc\n",
        "1:4: 'abc' is not a !!int",
    ),
    (
        "x: &a [*a]\n",
        "1:8: the alias '*a' is inside what it stands for",
    ),
    (
        "x: *nope\n",
        "1:4: unknown alias '*nope'; no '&' defines it before",
    ),
    (
        "%YAML 1.1\n---\na: 1\n",
        "1:1: only %YAML 1.2 is supported; leave the line out",
    ),
    (
        "? [a]\n: b\n",
        "1:3: a key must be a text, not a list or a mapping",
    ),
    (
        "send: a: b\n",
        "1:8: a text that holds ': ' must stand in quotes",
    ),
    (
        "x: @a\n",
        "1:4: a text cannot begin with '@'; write it in quotes",
    ),
    (
        'x: "abc\n',
        '1:4: the quote that opens here is never closed; close it with "',
    ),
    (
        'x: "\\ud800"\n',
        "1:4: half of a surrogate pair is no character; write the whole one, or use {hex}",
    ),
    (
        'x: "\\UFFFFFFFF"\n',
        "1:5: this escape stands for no character",
    ),
    (
        "x: a\0b\n",
        "1:5: the character U+0000 cannot stand here; write it as an escape in double quotes",
    ),
    (
        "x: a\x85b\n",
        "1:5: the character U+0085 cannot stand here; write it as an escape in double quotes",
    ),
    (
        "x: "
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        "1:67: nested more than 64 levels deep",
    ),
    (
        "<<: {a: 1}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:1: merge keys ('<<') are not part of YAML 1.2; write the keys out",
    ),
    (
        "steps: [{send: a}]\n",
        "1:1: no target; write a URL, {url: URL, reply: RULE} or {bundled: MODEL, reply: "
        "RULE} as 'target', or give --target",
    ),
    (
        "target: tcp://127.0.0.1:9\n",
        "1:1: no steps; write 'steps:' and under it a list such as '- send: hello'",
    ),
    (
        "target: tcp://127.0.0.1:9\nstep: [{send: a}]\n",
        "2:1: unknown key 'step' in a scenario; did you mean 'steps'?",
    ),
    (
        "taget: x\nsteps: [{send: a}]\n",
        "1:1: unknown key 'taget' in a scenario; did you mean 'target'?",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps: []\n",
        "2:8: 'steps' needs at least one step",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps: {send: a}\n",
        "2:8: 'steps' must be a list, not a mapping; write [A, B] or lines that begin with '- '",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps: send\n",
        "2:8: 'steps' must be a list, not the text 'send'; write [A, B] or lines that begin "
        "with '- '",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps:\n",
        "2:7: 'steps' has no value; write [A, B] or lines that begin with '- '",
    ),
    (
        "target: 5\nsteps: [{send: a}]\n",
        "1:9: 'target' must not be the number '5'; write a URL, {url: URL, reply: RULE} or "
        "{bundled: MODEL, reply: RULE}",
    ),
    (
        "target: [a]\nsteps: [{send: a}]\n",
        "1:9: 'target' must not be a list; write a URL, {url: URL, reply: RULE} or {bundled: "
        "MODEL, reply: RULE}",
    ),
    (
        "target: epoll\nsteps: [{send: a}]\n",
        "1:9: 'epoll' is a model, not a URL; write {bundled: epoll}",
    ),
    (
        "target: localhost:80\nsteps: [{send: a}]\n",
        "1:9: 'localhost:80' is not a URL; write tcp://localhost:80",
    ),
    (
        "target: tcp://localhost\nsteps: [{send: a}]\n",
        "1:9: 'tcp://localhost' needs a host and a port; write tcp://HOST:PORT, "
        "tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH",
    ),
    (
        "target: tcp://localhost:0\nsteps: [{send: a}]\n",
        "1:9: the port in 'tcp://localhost:0' must be 1 to 65535",
    ),
    (
        "target: tcp://localhost:70000\nsteps: [{send: a}]\n",
        "1:9: the port in 'tcp://localhost:70000' must be 1 to 65535",
    ),
    (
        "target: tcp://::1:80\nsteps: [{send: a}]\n",
        "1:9: 'tcp://::1:80' needs a host and a port; an IPv6 address stands in brackets; "
        "write tcp://HOST:PORT, tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH",
    ),
    (
        "target: tcp://[::zz]:80\nsteps: [{send: a}]\n",
        "1:9: '::zz' is not an IPv6 address; write tcp://HOST:PORT, tls://HOST:PORT, "
        "udp://[::1]:PORT or "
        "unix:///PATH",
    ),
    (
        "target: tcp://256.0.0.1:80\nsteps: [{send: a}]\n",
        "1:9: '256.0.0.1' is not an IPv4 address; write tcp://HOST:PORT, tls://HOST:PORT, "
        "udp://[::1]:PORT or "
        "unix:///PATH",
    ),
    (
        "target: tcp://h:80/x\nsteps: [{send: a}]\n",
        "1:9: 'tcp://h:80/x' needs a host and a port; write tcp://HOST:PORT, "
        "tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH",
    ),
    (
        "target: http://h:80\nsteps: [{send: a}]\n",
        "1:9: unknown scheme 'http' in 'http://h:80'; write tcp://h:80, and for each request a step"
        " such as {send: {http: /}, expect: {http: 200}}",
    ),
    (
        "target: tls://h\nsteps: [{send: a}]\n",
        "1:9: 'tls://h' needs a host and a port; write tcp://HOST:PORT, tls://HOST:PORT, "
        "udp://[::1]:PORT or unix:///PATH",
    ),
    (
        "target: udp://h:0\nsteps: [{send: a}]\n",
        "1:9: the port in 'udp://h:0' must be 1 to 65535",
    ),
    (
        "target: unix://a/b\nsteps: [{send: a}]\n",
        "1:9: 'unix://a/b' needs an absolute path to a socket; write unix:///PATH",
    ),
    (
        "target: {bundled: selct}\nsteps: [{send: a}]\n",
        "1:19: unknown model 'selct'; did you mean 'select'?",
    ),
    (
        "target: {bundled: zzz}\nsteps: [{send: a}]\n",
        "1:19: unknown model 'zzz'; models are epoll, poll, select, selectors, threads",
    ),
    (
        "target: {bundled: epoll, reply: ecko}\nsteps: [{send: a}]\n",
        "1:33: unknown rule 'ecko'; did you mean 'echo'?",
    ),
    (
        "target: {url: 'tcp://h:1', reply: {rule: ecko, read_size: 1}}\nsteps: [{send: a}]\n",
        "1:42: unknown rule 'ecko'; did you mean 'echo'?",
    ),
    (
        "target: {url: 'tcp://h:1', reply: {rule: echo, read_size: 0}}\nsteps: [{send: a}]\n",
        "1:59: 'read_size' must be at least 1 byte",
    ),
    (
        "target: {url: 'tcp://h:1', reply: {read_size: 200}}\nsteps: [{send: a}]\n",
        "1:35: 'reply' needs a 'rule'; write {rule: RULE, read_size: SIZE}",
    ),
    (
        "target: {url: 'tcp://h:1', reply: {rule: ok, read-size: 2}}\nsteps: [{send: a}]\n",
        "1:46: unknown key 'read-size' in 'reply'; did you mean 'read_size'?",
    ),
    (
        "target: {url: 'tcp://h:1', reply: {rulle: ok}}\nsteps: [{send: a}]\n",
        "1:36: unknown key 'rulle' in 'reply'; did you mean 'rule'?",
    ),
    (
        "target: {bundled: poll, reply: {rule: ok, read_size: 2}, read-size: 3}\n"
        "steps: [{send: a}]\n",
        "1:32: how much the target reads at a time ('read_size') is said twice",
    ),
    (
        "target: {bundled: poll, read_size: 2, read-size: 3}\nsteps: [{send: a}]\n",
        "1:39: how much the target reads at a time ('read_size') is said twice",
    ),
    (
        "target: {bundled: epoll, replly: echo}\nsteps: [{send: a}]\n",
        "1:26: unknown key 'replly' in a target; did you mean 'reply'?",
    ),
    (
        "target: {bundled: epoll, command: [a]}\nsteps: [{send: a}]\n",
        "1:9: a target has 'command' or 'bundled', not both",
    ),
    (
        "target: {command: []}\nsteps: [{send: a}]\n",
        "1:19: 'command' must be a list of words, not an empty list; write [python, "
        'server.py, --port, "{port}"]',
    ),
    (
        "target: {command: [server]}\nsteps: [{send: a}]\n",
        "1:9: the server is not told its port: write '{port}' in 'command', or where it "
        "listens: 'port: N'",
    ),
    (
        "target: {command: [a], port: 70000}\nsteps: [{send: a}]\n",
        "1:30: 'port' must be at most 65535, not '70000'",
    ),
    (
        "target: {command: [a], url: 'tcp://h:1', port: 2}\nsteps: [{send: a}]\n",
        "1:9: 'port' and the port in 'url' are two; leave one of them out",
    ),
    (
        "target: {command: 'a \"b', port: 2}\nsteps: [{send: a}]\n",
        "1:19: 'command' is no command: no closing quotation; write [python, server.py, "
        '--port, "{port}"]',
    ),
    (
        "target: {command: [a], port: 2, ready: '('}\nsteps: [{send: a}]\n",
        "1:40: '(' is no regex: missing ), unterminated subpattern at position 0",
    ),
    (
        "target: {command: [a], port: 2, redy: x}\nsteps: [{send: a}]\n",
        "1:33: unknown key 'redy' in a target with a 'command'; did you mean 'ready'?",
    ),
    (
        "target: {comand: [a], port: 2}\nsteps: [{send: a}]\n",
        "1:10: unknown key 'comand' in a target; did you mean 'command'?",
    ),
    (
        "target: {command: ['${x}'], port: 2}\nsteps: [{send: a}]\n",
        "1:20: '${x}' is not replaced in a word of 'command', which is no template; write "
        "it without '${}', or $${ for a literal '${'",
    ),
    (
        "target: {bundled: epoll, url: 'tcp://h:1'}\nsteps: [{send: a}]\n",
        "1:9: a target has 'url' or 'bundled', not both",
    ),
    (
        "target: {url: 'tcp://h:1', rply: echo}\nsteps: [{send: a}]\n",
        "1:28: unknown key 'rply' in a target with a 'url'; did you mean 'reply'?",
    ),
    (
        "target: {bundeled: epoll}\nsteps: [{send: a}]\n",
        "1:10: unknown key 'bundeled' in a target; did you mean 'bundled'?",
    ),
    (
        "target: {reply: echo}\nsteps: [{send: a}]\n",
        "1:9: a target needs 'url', 'bundled' or 'command'; write a URL, {url: URL, "
        "reply: RULE} or "
        "{bundled: MODEL, reply: RULE}",
    ),
    (
        "target: {a: {bundled: epoll}, b: 'tcp://h:1'}\nsteps: [{send: a}]\n",
        "1:1: with several targets each socket says which is its own; write 'sockets: {NAME: {to:"
        " TARGET}}' (targets are a, b)",
    ),
    (
        "target: {bundled: epoll, workers: [1]}\nsteps: [{send: a}]\n",
        "1:35: the target's option 'workers' must not be a list; write a text, a number or true",
    ),
    (
        "target: {bundled: epoll, workers: }\nsteps: [{send: a}]\n",
        "1:34: the target's option 'workers' must not be nothing; write a text, a number or true",
    ),
    (
        "target: {bundled: 5}\nsteps: [{send: a}]\n",
        "1:19: 'bundled' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "target: {url: 5}\nsteps: [{send: a}]\n",
        "1:15: 'url' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "target: {bundled: epoll, a b: 5}\nsteps: [{send: a}]\n",
        "1:26: unknown key 'a b' in a target; options are named as in 'workers'",
    ),
    (
        "variables: [a]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:12: 'variables' must be a mapping, not a list; write {NAME: VALUE}",
    ),
    (
        "variables: {my-var: 1}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:13: the variable 'my-var' is not a name; use letters, digits and '_', no digit first",
    ),
    (
        "variables: {user: 1}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:13: the variable 'user' is built in; choose another name",
    ),
    (
        "variables: {a: }\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:15: a variable must be a text, a number, true or false, not nothing; write '' for "
        "an empty text",
    ),
    (
        "variables: {a: {csv: f, pick: random}}\ntarget: tcp://127.0.0.1:9\nsteps:\n  - "
        "send: ${a.b}\n",
        "1:22: cannot read 'f': no such file or directory; files are looked for beside the"
        " scenario",
    ),
    (
        "variables: {a: {x: 1}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:16: a variable must be a constant, a list or a feeder, not a mapping; for a feeder write"
        " {csv: FILE}",
    ),
    (
        'variables: {a: "${b}"}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n',
        "1:16: '${b}' is not replaced in 'variables'; write it in a step, or $${ for a "
        "literal '${'",
    ),
    (
        "variables: {a: [[1]]}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:17: an item of a list must be a text, a number, true or false, not a list",
    ),
    (
        "variables: {a: [1]}\ntarget: tcp://127.0.0.1:9\nsteps:\n  - send: x${a}\n",
        "4:11: 'a' is a list; go through it with 'for: {item: \"${a}\"}'",
    ),
    (
        "variables: {a: [1]}\ntarget: tcp://127.0.0.1:9\nsteps:\n  - set: {a: 1}\n",
        "4:11: the variable 'a' is a list in 'variables' already; choose another name",
    ),
    (
        "sockets: main\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:10: 'sockets' must be a list of names or a mapping, not the text 'main'; write "
        "[first, second]",
    ),
    (
        "sockets: []\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:10: 'sockets' names no socket; name at least one, or leave it out",
    ),
    (
        "sockets: [a, a]\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: a, send: x}\n",
        "1:14: the socket 'a' is named twice",
    ),
    (
        "sockets: [1]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:11: a socket's name must be a text, not the number '1'; write it in quotes",
    ),
    (
        "sockets: [a b]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:11: 'a b' is no name for a socket; use letters, digits, '_', '-' and '.'",
    ),
    (
        "sockets: [all]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:11: 'all' means every socket; choose another name",
    ),
    (
        "sockets: [{a: {count: 2}}]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:11: a list of sockets holds names; to give options, write 'sockets: {NAME: {...}}'",
    ),
    (
        "sockets: {a: 5}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:14: a socket's options must be a mapping, not the number '5'; write {nodelay: "
        "false} or nothing",
    ),
    (
        "sockets: {a: {cont: 5}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:15: unknown key 'cont' in a socket; did you mean 'count'?",
    ),
    (
        "sockets: {a: {count: 0}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:22: 'count' must be at least 1, not '0'",
    ),
    (
        "sockets: {a: {count: 1000000000}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:22: more than 100000 sockets for each user",
    ),
    (
        "sockets: {a: {nodelay: yes}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:24: 'nodelay' must be true or false, not the text 'yes'",
    ),
    (
        "sockets: {a: {receive_buffer: 0}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:31: 'receive_buffer' must be at least 1 byte",
    ),
    (
        "sockets: {a: {send_buffer: 4 KiB}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:28: '4 KiB' is not a size; write a number of bytes such as 64, 64KiB, 1MB",
    ),
    (
        "sockets: {a: {send_buffer: 4GiB}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:28: 'send_buffer' must be at most 2147483647 bytes",
    ),
    (
        "sockets: {a: {source: 10.0.0.1/8}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:23: '10.0.0.1/8' is one address within a block; write '10.0.0.0/8', or the address "
        "alone",
    ),
    (
        "sockets: {a: {source: 10.0.0.0/33}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:23: '10.0.0.0/33' is not a block of IP addresses; write 127.0.1.0/24",
    ),
    (
        "sockets: {a: {tls: yes}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:20: 'tls' must be a mapping, not the text 'yes'; write {ca: FILE}, {cert: FILE, key: "
        "FILE}, {server_name: NAME} or {verify: false}",
    ),
    (
        "sockets: {a: {tls: {cafile: x}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:21: unknown key 'cafile' in 'tls'; did you mean 'ca'?",
    ),
    (
        "sockets: {a: {tls: {verify: 1}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:29: 'verify' must be true or false, not the number '1'",
    ),
    (
        "sockets: {a: {tls: {server_name: ''}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:34: 'server_name' must be one line of printable text, not ''",
    ),
    (
        "sockets: {a: {tls: {server_name: a..b}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:34: 'a..b' is not the name of a host",
    ),
    (
        "sockets: {a: {tls: {server_name: .b}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:34: '.b' is not the name of a host",
    ),
    (
        "sockets: {a: {tls: {ca: /nowhere/ca.pem}}}\ntarget: tls://127.0.0.1:9\n"
        "steps: [{send: a}]\n",
        "1:25: cannot read /nowhere/ca.pem: no such file or directory",
    ),
    (
        "sockets: {a: {tls: {key: /dev/null}}}\ntarget: tls://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:21: 'key' needs 'cert: FILE', the certificate that it belongs to",
    ),
    (
        "sockets: {a: {tls: {verify: false}}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:20: 'tls' needs a target that speaks it, not tcp; write tls://HOST:PORT, "
        "{bundled: MODEL, tls: true}, or 'start_tls'",
    ),
    (
        "target: udp://127.0.0.1:9\nsteps: [{half_close: main}]\n",
        "2:9: UDP has no connection whose end could be told by 'half_close'; write 'close'",
    ),
    (
        "target: udp://127.0.0.1:9\nsteps: [{repeat: 2, do: [{reset: main}]}]\n",
        "2:26: UDP has no connection whose end could be told by 'reset'; write 'close'",
    ),
    (
        "target: udp://127.0.0.1:9\nsteps: [{expect: closed}]\n",
        "2:9: UDP has no connection whose end could be expected; write {silence: DURATION}",
    ),
    (
        "target: udp://127.0.0.1:9\nsteps: [{send: {random: 65508}}]\n",
        "2:9: a datagram has at most 65507 bytes; send less, or in 'pieces'",
    ),
    (
        "target: udp://127.0.0.1:9\nsteps: [{send: {random: 200000}, pieces: [9, 65508]}]\n",
        "2:9: a datagram has at most 65507 bytes; send less, or in 'pieces'",
    ),
    (
        "sockets: {a: {source: here}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:23: 'here' is not an IP address; write one such as 127.0.0.2",
    ),
    (
        "sockets: {a: {linger: 5}}\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "1:23: '5' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "sockets: [a, b]\ntarget: tcp://127.0.0.1:9\nsteps: [{send: a}]\n",
        "3:9: no socket is called 'main', so a step must say 'on:' with one or more of a, b, "
        "or all",
    ),
    (
        "sockets: [first, b]\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: frist, send: x}\n",
        "4:10: unknown socket 'frist'; did you mean 'first'?",
    ),
    (
        "sockets: [a, b]\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: [a, a], send: x}\n",
        "4:14: 'on' names the socket 'a' twice",
    ),
    (
        "sockets: [a, b]\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: [], send: x}\n",
        "4:10: 'on' names no socket",
    ),
    (
        "sockets: [a, b]\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: 5, send: x}\n",
        "4:10: 'on' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "sockets: {g: {count: 2}, a: }\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: 'g[2]', "
        "send: x}\n",
        "4:10: the group 'g' has only g[0] to g[1]",
    ),
    (
        "sockets: {g: {count: 2}, a: }\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: 'a[0]', "
        "send: x}\n",
        "4:10: 'a' is one socket, not a group; write 'a'",
    ),
    (
        "sockets: {g: {count: 2}, a: }\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: [g, "
        "'g[1]'], send: x}\n",
        "4:14: 'on' names the socket 'g[1]' twice",
    ),
    (
        "sockets: {g: {count: 2}, a: }\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {on: [all, "
        "a], send: x}\n",
        "4:16: 'on' names the socket 'a' twice",
    ),
    (
        "variables: {name: x}\ntarget: tcp://127.0.0.1:9\nsteps:\n  - send: 'a ${nam} b'\n",
        "4:11: unknown name '${nam}'; did you mean 'name'?",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps:\n - send: ${x}\n - expect: {length: 5}\n   save: x\n",
        "3:10: '${x}' has no value yet here; it is set only later, at line 5",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps:\n - for: {x: [1, 2]}\n   do: [{send: 'a${x}'}]\n "
        "- send: ${x}\n",
        "5:10: '${x}' has a value only inside the 'do' of its 'for'",
    ),
    (
        "variables: {parts: [a]}\ntarget: tcp://127.0.0.1:9\nsteps:\n  - {for: {x: "
        "'${prts}'}, do: [{send: a}]}\n",
        "4:15: 'for' goes through a list, and '${prts}' is none; did you mean '${parts}'?",
    ),
    (
        "target: tcp://127.0.0.1:9\nsteps:\n  - {wait: 1s, name: think}\nthresholds: "
        "['think: mean < 2s']\n",
        "4:14: the step 'think' is not timed; a threshold needs a step on a socket",
    ),
]

KEYS = [
    ("<<: {}", "3:1: merge keys ('<<') are not part of YAML 1.2; write the keys out"),
    (
        "timeout: 1s\ntimeout: 2s",
        "4:1: duplicate key 'timeout'; it stands at line 3 already",
    ),
    (
        "foo: 1",
        "3:1: unknown key 'foo' in a scenario; its keys are name, description, target, "
        "variables, sockets, before, steps, after, load, thresholds, timeout, on_error, seed,"
        " weight",
    ),
    (
        "weight: 0",
        "3:9: 'weight' must be at least 1, not '0'",
    ),
    (
        "name: 5",
        "3:7: 'name' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "name: ''",
        "3:7: 'name' must be one line of printable text, not ''",
    ),
    (
        'name: "a\\nb"',
        "3:7: 'name' must be one line of printable text, not 'a\\nb'",
    ),
    (
        "description: [a]",
        "3:14: 'description' must be a text, not a list",
    ),
    (
        "timeout: 10",
        "3:10: '10' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "timeout: 0s",
        "3:10: 'timeout' must be more than zero",
    ),
    (
        "timeout: 5 s",
        "3:10: '5 s' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "timeout: 999999h",
        "3:10: '999999h' is too long; at most 480h",
    ),
    (
        "timeout: [1s]",
        "3:10: 'timeout' must not be a list; write a number with a unit such as 250us, 10ms, "
        "5s, 2m, 1h",
    ),
    (
        "timeout:",
        "3:9: 'timeout' has no value; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "on_error: retry",
        "3:11: unknown on_error 'retry'; it is one of reconnect, stop_user, abort",
    ),
    (
        "on_error: abrt",
        "3:11: unknown on_error 'abrt'; did you mean 'abort'?",
    ),
    (
        "seed: -1",
        "3:7: 'seed' must be at least 0, not '-1'",
    ),
    (
        "seed: x",
        "3:7: 'seed' must be a whole number, not the text 'x'",
    ),
    (
        "seed: '7'",
        "3:7: 'seed' must be a whole number, not the text '7'; write it without quotes",
    ),
    (
        "seed: 1.5",
        "3:7: 'seed' must be a whole number, not the number '1.5'",
    ),
    (
        "seed: 99999999999999999999",
        "3:7: 'seed' must be less than 2^63, not '99999999999999999999'",
    ),
    (
        "load: 5",
        "3:7: 'load' must be a mapping, not the number '5'; write {users: 50, run_time: 10s}",
    ),
    (
        "load: {users: 0}",
        "3:15: 'users' must be at least 1, not '0'",
    ),
    (
        "load: {users: '5'}",
        "3:15: 'users' must be a whole number, not the text '5'; write it without quotes",
    ),
    (
        "load: {users: 0..0, run_time: 1s}",
        "3:15: 'users' must be more than zero",
    ),
    (
        "load: {users: 5..x, run_time: 1s}",
        "3:15: 'users': 'x' is not a whole number; write a number such as 50, or a ramp such as"
        " 0..500",
    ),
    (
        "load: {users: 0..500}",
        "3:8: a ramp of users needs a 'run_time'",
    ),
    (
        "load: {users: 0..500, iterations: 5}",
        "3:23: 'iterations' (per user) does not go with a ramp of users; give a 'run_time'",
    ),
    (
        "load: {run_time: 1s..2s}",
        "3:18: '1s..2s' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m,"
        " 1h; only the 'users' and 'rate' of a load may be ramps",
    ),
    (
        "load: {iterations: 1..5}",
        "3:20: 'iterations' must be a whole number, not the text '1..5'; only the 'users' and"
        " 'rate' of a load may be ramps",
    ),
    (
        "load: {rate: 500, run_time: 1s}",
        "3:14: 'rate' must be a rate, not the number '500'; write a rate such as 500/s, 30/m, or a"
        " ramp such as 100/s..2000/s",
    ),
    (
        "load: {rate: 100..2000/s, run_time: 1s}",
        "3:14: 'rate': '100' is not a rate; write a number a second or a minute such as 500/s,"
        " 30/m",
    ),
    (
        "load: {rate: 0/s, run_time: 1s}",
        "3:14: 'rate' must be more than zero",
    ),
    (
        "load: {rate: 9999999999/s, run_time: 1s}",
        "3:14: 'rate': '9999999999/s' is too high; at most 1000000000/s",
    ),
    (
        "load: {rate: 5/s}",
        "3:8: 'rate' (open load) needs a 'run_time'",
    ),
    (
        "load: {rate: 5/s, run_tme: 5s}",
        "3:19: unknown key 'run_tme' in a load; did you mean 'run_time'?",
    ),
    (
        "load: {rate: 5/s, iterations: 5}",
        "3:19: 'iterations' (per user) does not go with 'rate' (open load); give a 'run_time'",
    ),
    (
        "load: {users: 5, rate: 5/s, run_time: 1s}",
        "3:18: 'users' (closed load) and 'rate' (open load) exclude each other; with 'rate' write"
        " 'max_users'",
    ),
    (
        "load: {max_users: 5, run_time: 1s}",
        "3:8: 'max_users' goes with 'rate' (open load); closed load has 'users'",
    ),
    (
        "load: {rate: 5/s, max_users: 0, run_time: 1s}",
        "3:30: 'max_users' must be at least 1, not '0'",
    ),
    (
        "load: {phases: []}",
        "3:16: 'phases' is empty; write [{users: 50, run_time: 10s}, ...]",
    ),
    (
        "load: {phases: 5}",
        "3:16: 'phases' must be a list, not the number '5'; write [A, B] or lines that begin with"
        " '- '",
    ),
    (
        "load: {phases: [5s]}",
        "3:17: a phase must be a mapping, not the text '5s'; write {users: 50, run_time: 10s}",
    ),
    (
        "load: {phases: [{users: 5, run_time: 1s}], run_time: 5s}",
        "3:44: 'run_time' does not go with 'phases'; write it in each phase",
    ),
    (
        "load: {phases: [{users: 5, run_time: 1s}], iterations: 5}",
        "3:44: 'iterations' does not go with 'phases'; each phase has its 'run_time'",
    ),
    (
        "load: {phases: [{users: 5}]}",
        "3:17: a phase needs a 'run_time'",
    ),
    (
        "load: {phases: [{run_time: 5s}]}",
        "3:17: a phase needs 'users' or 'rate'",
    ),
    (
        "load: {phases: [{users: 0, run_time: 5s}]}",
        "3:16: no phase has a user",
    ),
    (
        "load: {phases: [{user: 5, run_time: 5s}]}",
        "3:18: unknown key 'user' in a phase; did you mean 'users'?",
    ),
    (
        "load: {phases: [{users: 5, rate: 5/s, run_time: 5s}]}",
        "3:28: 'users' (closed load) and 'rate' (open load) exclude each other; with 'rate' write"
        " 'max_users'",
    ),
    (
        "load: {phases: [{users: 5, run_time: 1s, pacing: 1s}]}",
        "3:42: unknown key 'pacing' in a phase; it stands in 'load'",
    ),
    (
        "load: {phases: [{name: a, users: 5, run_time: 1s}, {name: a, users: 5, run_time: 1s}]}",
        "3:53: two phases are called 'a'",
    ),
    (
        "load: {user: 5}",
        "3:8: unknown key 'user' in a load; did you mean 'users'?",
    ),
    (
        "load: {run_time: 10}",
        "3:18: '10' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "load: {run_time: 0s}",
        "3:18: 'run_time' must be more than zero",
    ),
    (
        "load: {iterations: 0}",
        "3:20: 'iterations' must be at least 1, not '0'",
    ),
    (
        "load: {spawn_rate: 0}",
        "3:20: 'spawn_rate' must be more than zero",
    ),
    (
        "load: {spawn_rate: fast}",
        "3:20: 'fast' is not a rate; write a number a second or a minute such as 500/s, 30/m",
    ),
    (
        "load: {spawn_rate: 1/s..5/s}",
        "3:20: '1/s..5/s' is not a rate; write a number a second or a minute such as 500/s, 30/m;"
        " only the 'users' and 'rate' of a load may be ramps",
    ),
    (
        "load: {pacing: 1}",
        "3:16: '1' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "load: {graceful_stop: x}",
        "3:23: 'x' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "thresholds: errors == 0",
        "3:13: 'thresholds' must be a list, not the text 'errors == 0'; write [A, B] or "
        "lines that begin with '- '",
    ),
    (
        "thresholds: [5]",
        "3:14: a threshold must be a text, not the number '5'; write it in quotes",
    ),
    (
        "thresholds:\n - 'login': p(95) < 20ms",
        "4:4: a threshold must be a text; put the whole of it in quotes, as in \"'login': "
        'p(95) < 20ms"',
    ),
]

STEPS = [
    (
        "",
        f"3:4: a step must be a mapping, not nothing; write 'send: ...' or another of {ACTIONS}",
    ),
    ("expect: {until: 5}", "3:21: 'until' must be a text, not the number '5'; write it in quotes"),
    ("expect: {until: {repeat: a, times: 70000}}", "3:21: too large: more than 65536 bytes"),
    (
        "expect: {closed: true, reset: true}",
        "3:28: a reply has one form, this one has 'closed' and 'reset'",
    ),
    ("send: {hex: true}", "3:17: 'hex' must be a text, not 'true'"),
    ("send: {file: }", "3:17: 'file' must be a text, not nothing"),
    ('send: {file: "a\\0"}', "3:18: 'a\\x00' is not the name of a file"),
    (
        "{for: {x: {csv: f}}, do: [{send: a}]}",
        "3:15: what 'for' goes through must be a list, not a mapping; write [A, B] or lines that"
        " begin with '- '",
    ),
    (
        "{for: {}, do: [{send: a}]}",
        "3:11: 'for' must be a mapping, not one with more or less than one name; write"
        " {NAME: [...]}",
    ),
    (
        "send",
        "3:5: a step must be a mapping, not the text 'send'; write 'send: ...' or another of "
        + ACTIONS,
    ),
    (
        "{}",
        f"3:5: a step needs an action, one of {ACTIONS}",
    ),
    (
        "{on: main}",
        f"3:5: a step needs an action, one of {ACTIONS}",
    ),
    (
        "{expct: x}",
        "3:6: unknown key 'expct' in a step; did you mean 'expect'?",
    ),
    (
        "{send: a, expct: x}",
        "3:15: unknown key 'expct' in a step; did you mean 'expect'?",
    ),
    (
        "{send: a, wait: 1s}",
        "3:15: a step has one action, this one has 'send' and 'wait'; split it",
    ),
    (
        "{send: a, expect: b, wait: 1s}",
        "3:26: a step has one action, this one has 'send' and 'expect' and 'wait'; split it",
    ),
    (
        "{together: {a: b}}",
        "3:16: 'together' must be a list of branches, not a mapping; write [[steps], [steps]]",
    ),
    (
        "together: []",
        "3:15: 'together' must be a list of branches, not an empty list; write [[steps], [steps]]",
    ),
    (
        "together: [[{send: a}], {send: b}]",
        "3:29: a branch of 'together' must be a list of steps, not a mapping; write [[steps],"
        " [steps]] or {background: [steps]}",
    ),
    (
        "together: [[{send: a}], []]",
        "3:29: a branch of 'together' needs at least one step",
    ),
    (
        "together: [[{send: a}], [{wait: 1s}, {send: b, expect: b}]]",
        "3:42: two branches use the socket 'main' at once (the other one at line 3); give each"
        " branch its own sockets, or let one only send and the other only expect",
    ),
    (
        "together: [[{repeat: 2, do: [{send: a}]}], [{together: [[{close: main}]]}]]",
        "3:62: two branches use the socket 'main' at once (the other one at line 3); give each"
        " branch its own sockets, or let one only send and the other only expect",
    ),
    (
        "together: [[{set: {x: 1}}], [{send: '${x}'}]]",
        "3:41: '${x}' is set in another branch, which runs at the same time (line 3); it has no"
        " value yet",
    ),
    (
        "together: [[{barrier: a}]]",
        "3:27: a 'barrier' cannot stand in a branch of 'together': the whole user waits",
    ),
    (
        "{together: [[{wait: 1s}]], within: 1s}",
        "3:32: 'within' belongs to an action on a socket",
    ),
    (
        "{barrier: a, within: 1s}",
        "3:18: 'within' belongs to an action on a socket",
    ),
    (
        "barrier: 5",
        "3:14: 'barrier' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "call: [a]",
        "3:11: 'call' must be a text, not a list",
    ),
    (
        "call: package.module",
        "3:11: 'package.module' names no function; write PACKAGE.MODULE:FUNCTION",
    ),
    (
        "call: 'json:loads'",
        "3:11: 'loads' is not an 'async def' function",
    ),
    (
        "{expect: a, pieces: 3}",
        "3:17: 'pieces' belongs to a 'send'",
    ),
    (
        "{send: a, save: x}",
        "3:15: 'save' belongs to an 'expect'",
    ),
    (
        "{send: a, do: []}",
        "3:15: 'do' belongs to a 'repeat' or a 'for' or a 'transaction'",
    ),
    (
        "{send: a, gap: 1ms}",
        "3:15: 'gap' needs 'pieces': it is the time between them",
    ),
    (
        "{wait: 1s, on: main}",
        "3:16: 'on' belongs to a 'send' or an 'expect'",
    ),
    (
        "{wait: 1s, within: 1s}",
        "3:16: 'within' belongs to an action on a socket",
    ),
    (
        "{connect: main, on: main}",
        "3:21: 'connect' names its sockets itself; write 'connect: SOCKET' without 'on'",
    ),
    (
        "connect:",
        "3:13: 'connect' has no value; write a text",
    ),
    (
        "close: man",
        "3:12: unknown socket 'man'; did you mean 'main'?",
    ),
    (
        "{send: a, within: 10}",
        "3:23: '10' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "send:",
        "3:10: a payload has no value; write a text",
    ),
    (
        "send: ''",
        "3:11: there is nothing to send; 'send' needs at least one byte",
    ),
    (
        "send: 5",
        "3:11: a payload must be a text, not the number '5'; write it in quotes",
    ),
    (
        "send: true",
        "3:11: a payload must be a text, not 'true'; write it in quotes",
    ),
    (
        "send: [a]",
        "3:11: a payload must be a text or a mapping, not a list; write {join: [...]}",
    ),
    (
        "send: {}",
        "3:11: a payload needs a form, one of text, hex, base64, file, random, repeat, int, "
        "varint, sized, checked, pick, join, frame",
    ),
    (
        "send: {txt: a}",
        "3:12: unknown key 'txt' in a payload; did you mean 'text'?",
    ),
    (
        "send: {text: a, hex: 00}",
        "3:21: a payload has one form, this one has 'text' and 'hex'",
    ),
    (
        "send: {text: 5}",
        "3:18: 'text' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "send: {hex: abc}",
        "3:17: 'abc' is not hex; write pairs of 0-9 and a-f such as 'de ad be ef'",
    ),
    (
        "send: {hex: ''}",
        "3:11: there is nothing to send; 'send' needs at least one byte",
    ),
    (
        "send: {base64: '***'}",
        "3:20: '***' is not base64; write it as in 'aGVsbG8='",
    ),
    (
        "send: {file: nope.bin}",
        "3:18: cannot read 'nope.bin': no such file or directory; files are looked for "
        "beside the scenario",
    ),
    (
        "send: {file: .}",
        "3:18: '.' is not a regular file",
    ),
    (
        "send: {random: 0}",
        "3:20: 'random' must be at least 1 byte",
    ),
    (
        "send: {random: 10XB}",
        "3:20: '10XB' is not a size; write a number of bytes such as 64, 64KiB, 1MB",
    ),
    (
        "send: {repeat: a}",
        "3:12: 'repeat' needs 'times'; write {repeat: ..., times: N}",
    ),
    (
        "send: {repeat: a, times: 0}",
        "3:30: 'times' must be at least 1, not '0'",
    ),
    (
        "send: {repeat: a, times: x}",
        "3:30: 'times' must be a whole number, not the text 'x'",
    ),
    (
        "send: {repeat: a, tmes: 2}",
        "3:23: unknown key 'tmes' in a payload; did you mean 'times'?",
    ),
    (
        "send: {text: a, times: 2}",
        "3:21: unknown key 'times' in a payload; its forms are text, hex, base64, file, "
        "random, repeat, int, varint, sized, checked, pick, join, frame",
    ),
    (
        "send: {repeat: aaaaaaaaaaaaaaaaaaaaa, times: 100000000}",
        "3:11: too large: more than 1073741824 bytes",
    ),
    (
        "send: {join: a}",
        "3:18: 'join' must be a list, not the text 'a'; write [A, B] or lines that begin with '- '",
    ),
    (
        "send: {join: []}",
        "3:11: there is nothing to send; 'send' needs at least one byte",
    ),
    (
        "send: {frame: a}",
        "3:12: 'frame' needs to know where a frame ends: write 'sockets: {main: {framing: line}}'"
        " or another framing",
    ),
    (
        "{send: a, pieces: 0}",
        "3:23: a piece must be at least 1 byte",
    ),
    (
        "{send: a, pieces: each_bite}",
        "3:23: 'each_bite' are no pieces; did you mean 'each_byte'?",
    ),
    (
        "{send: a, pieces: []}",
        "3:23: 'pieces' holds no size; write a number of bytes such as 64, 64KiB, 1MB",
    ),
    (
        "{send: a, pieces: [1, x]}",
        "3:27: 'x' is not a size; write a number of bytes such as 64, 64KiB, 1MB",
    ),
    (
        "{send: a, pieces: 2, gap: 5}",
        "3:31: '5' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "send: 'a ${nam} b'",
        "3:11: unknown name '${nam}'; known are user, iteration, socket, uuid, sent",
    ),
    (
        "send: 'a ${b'",
        "3:11: '${' without '}'; write ${NAME}, or $${ for a literal '${'",
    ),
    (
        "send: '${}'",
        "3:11: '${}' holds no name; use letters, digits and '_', or write $${ for a literal '${'",
    ),
    (
        "send: '${a.b}'",
        "3:11: 'a' in '${a.b}' is no feeder; a feeder is 'NAME: {csv: FILE}' in 'variables'",
    ),
    (
        "send: '${sent}'",
        "3:11: '${sent}' has a value only in the 'expect' of a step that sends",
    ),
    (
        "expect: '${sent}'",
        "3:13: '${sent}' has a value only in the 'expect' of a step that sends",
    ),
    (
        "send: '${a b}'",
        "3:11: '${a b}' holds no name; use letters, digits and '_', or write $${ for a "
        "literal '${'",
    ),
    (
        "{expect: {length: 5}, save: user}",
        "3:33: the name 'user' is built in; choose another name",
    ),
    (
        "{expect: {length: 5}, save: 5}",
        "3:33: 'save' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "expect: reply",
        "3:13: 'reply' needs to know the target's rule; write 'reply: RULE' in the target, "
        "or give --reply RULE (one of echo, upper, ok, received, upper_sb, hello, sink)",
    ),
    (
        "expect: {rule: ecko}",
        "3:20: unknown rule 'ecko'; did you mean 'echo'?",
    ),
    (
        "expect: {lenght: 5}",
        "3:14: unknown key 'lenght' in a reply; did you mean 'length'?",
    ),
    (
        "expect: {length: 0}",
        "3:22: 'length' must be at least 1 byte",
    ),
    (
        "expect: {until: ''}",
        "3:21: 'until' needs at least one byte",
    ),
    (
        "expect: {until: '${user}'}",
        "3:21: 'until' needs constant bytes, without ${...} or 'random'",
    ),
    (
        "expect: {until: {random: 5}}",
        "3:21: 'until' needs constant bytes, without ${...} or 'random'",
    ),
    (
        "expect: {closed: false}",
        "3:22: 'closed' can only be true, not 'false'",
    ),
    (
        "expect: {reset: 1}",
        "3:21: 'reset' can only be true, not the number '1'",
    ),
    (
        "expect: {silence: 0s}",
        "3:23: 'silence' must be more than zero",
    ),
    (
        "expect: {silence: 5}",
        "3:23: '5' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "expect: {frame: a}",
        "3:14: 'frame' needs to know where a frame ends: write 'sockets: {main: {framing: line}}'"
        " or another framing",
    ),
    (
        "expect: {regex: a}",
        "3:14: 'regex' needs to know where a frame ends: write 'sockets: {main: {framing: line}}'"
        " or another framing; or write 'until: BYTES' beside it",
    ),
    (
        "expect: {random: 5}",
        "3:13: 'random' bytes cannot be foretold; expect {length: SIZE} or 'reply'",
    ),
    (
        "expect: ''",
        "3:13: there is nothing to expect; for silence write {silence: DURATION}",
    ),
    (
        "expect: {length: 5, until: a}",
        "3:25: a reply has one form, this one has 'length' and 'until'",
    ),
    (
        "expect:",
        "3:12: a reply has no value; write a text",
    ),
    ("expect: []", "3:13: there is nothing to expect in this list; write [REPLY, REPLY]"),
    ("expect: [closed, a]", "3:14: nothing comes after 'closed'; put it last"),
    (
        "expect: [a, {rule: echo}]",
        "3:17: a rule judges all that a socket gets, not one reply of a list; expect 'reply' in a"
        " step of its own",
    ),
    (
        "expect: [a, {silence: 1s}]",
        "3:17: 'silence' cannot stand in a list; expect it in a step of its own",
    ),
    (
        "expect: [any, a]",
        "3:14: 'any' has no end in a stream, so nothing can come after it; put it last, or give"
        " the socket a framing",
    ),
    ("expect: {any: 5}", "3:19: 'any' can only be true; write any, or {any: true}"),
    (
        "expect: {any_order: [{frame: a}]}",
        "3:14: 'any_order' needs to know where a frame ends: write 'sockets: {main: {framing:"
        " line}}' or another framing",
    ),
    (
        "expect: {starts_with: a}",
        "3:14: 'starts_with' needs to know where a frame ends: write 'sockets: {main: {framing:"
        " line}}' or another framing; or write 'until: BYTES' beside it",
    ),
    (
        "expect: {length: 5, skip: b}",
        "3:31: 'skip' needs to know where a frame ends: write 'sockets: {main: {framing: line}}' or"
        " another framing",
    ),
    (
        "expect: {one_of: [ab, a]}",
        "3:14: b'ab' begins with b'a', which is whole before it; end both with a delimiter, or"
        " give the socket a framing",
    ),
    ("expect: {one_of: []}", "3:22: 'one_of' holds nothing that could come; write [A, B]"),
    ("expect: {one_of: 5}", "3:22: 'one_of' must be a list or names; write [A, B] or {NAME: A}"),
    (
        "expect: {one_of: [a, {rule: echo}]}",
        "3:14: a rule cannot stand in 'one_of'; expect it in a step of its own",
    ),
    (
        "expect: {join: [any, {until: a}]}",
        "3:14: two parts of this 'join' have an open length, so nobody can say where the first"
        " ends; give all but one a {length: SIZE}",
    ),
    (
        "expect: {join: [{regex: a}, b]}",
        "3:14: 'join' needs to know where a frame ends: write 'sockets: {main: {framing: line}}'"
        " or another framing; or write 'until: BYTES' beside the part, or put 'any' last",
    ),
    (
        "expect: {join: [{length: 1}, {frame: a}]}",
        "3:34: a frame is no part of this 'join'; write a list, [{frame: ...}, ...]",
    ),
    (
        "expect: true",
        "3:13: a reply must be a text, not 'true'; write it in quotes",
    ),
    (
        "wait: 5",
        "3:11: '5' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "wait: [1s, 2s]",
        "3:11: 'wait' must be a duration or a mapping, not a list; write {uniform: [A, B]}",
    ),
    (
        "wait: {unifrm: [1s, 2s]}",
        "3:12: unknown key 'unifrm' in a 'wait'; did you mean 'uniform'?",
    ),
    (
        "wait: {uniform: [2s, 1s]}",
        "3:21: 'uniform' goes from the shorter to the longer time",
    ),
    (
        "wait: {uniform: 1s}",
        "3:21: 'uniform' must be a list of two; write {uniform: [A, B]}",
    ),
    (
        "wait: {exponential: 0s}",
        "3:25: 'exponential' must be more than zero",
    ),
    (
        "wait: {normal: [1s, 2]}",
        "3:25: '2' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "wait: {}",
        "3:11: a 'wait' needs a duration or one of uniform, exponential, normal",
    ),
    (
        "wait: {uniform: [1s, 2s], exponential: 1s}",
        "3:31: a 'wait' has one form, this one has 'uniform' and 'exponential'",
    ),
    (
        "wait: -5s",
        "3:11: '-5s' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "wait:",
        "3:10: 'wait' has no value; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "repeat: 3",
        "3:5: 'repeat' needs 'do: [steps]' beside it",
    ),
    (
        "{repeat: 0, do: [{send: a}]}",
        "3:14: 'repeat' must be at least 1, not '0'",
    ),
    (
        "{repeat: x, do: [{send: a}]}",
        "3:14: 'repeat' must be a whole number, not the text 'x'",
    ),
    (
        "{repeat: 2, do: []}",
        "3:21: 'do' needs at least one step",
    ),
    (
        "{repeat: 2, do: {send: a}}",
        "3:21: 'do' must be a list, not a mapping; write [A, B] or lines that begin with '- '",
    ),
    (
        "{for: [a], do: [{send: a}]}",
        "3:11: 'for' must be a mapping, not a list; write {NAME: [...]}",
    ),
    (
        "{for: {x: [a], y: [b]}, do: [{send: a}]}",
        "3:11: 'for' must be a mapping, not one with more or less than one name; write"
        " {NAME: [...]}",
    ),
    (
        "{for: {x: a}, do: [{send: a}]}",
        "3:15: 'for' goes through a list, and 'a' is none; write {NAME: [A, B]}",
    ),
    (
        "{for: {user: [a]}, do: [{send: a}]}",
        "3:12: the variable 'user' is built in; choose another name",
    ),
    (
        "{for: {x: [a, {}]}, do: [{send: a}]}",
        "3:19: a value must be a text, a number, true or false, not a mapping",
    ),
    (
        "set: a",
        "3:10: 'set' must be a mapping, not the text 'a'; write {NAME: VALUE}",
    ),
    (
        "set: {}",
        "3:10: 'set' must be a mapping, not an empty one; write {NAME: VALUE}",
    ),
    (
        "set: {user: 1}",
        "3:11: the variable 'user' is built in; choose another name",
    ),
    (
        "set: {1a: 1}",
        "3:11: the variable '1a' is not a name; use letters, digits and '_', no digit first",
    ),
    (
        "set: {a: [1]}",
        "3:14: a value must be a text, a number, true or false, not a list",
    ),
    (
        "{for: {x: ${a}}, do: [{send: a}]}",
        "3:16: inside {...} and [...] write texts such as 'group[0]' and '${name}' in quotes, and a"
        " comma between two entries",
    ),
]

THRESHOLDS = [
    (
        "errors",
        "'errors' is not a threshold; write [STEP:] METRIC OP VALUE, such as 'errors == 0' "
        "or 'p(99) < 250ms'",
    ),
    (
        "errors = 0",
        "unknown operator '='; operators are == != < <= > >=",
    ),
    (
        "errors == 0.5",
        "'0.5' is not a count; compare 'errors' with a whole number",
    ),
    (
        "errors == x",
        "'x' is not a count; compare 'errors' with a whole number",
    ),
    (
        "error_rate < 2",
        "'2' is not a share; write a percentage such as 1%, or 0.01",
    ),
    (
        "error_rate < 200%",
        "'200%' is not a share; write a percentage such as 1%, or 0.01",
    ),
    (
        "p < 5ms",
        "'p' needs a percentile above 0 and up to 100; write it as in 'p(99)'",
    ),
    (
        "p(0) < 5ms",
        "'p' needs a percentile above 0 and up to 100; write it as in 'p(99)'",
    ),
    (
        "p(101) < 5ms",
        "'p' needs a percentile above 0 and up to 100; write it as in 'p(99)'",
    ),
    (
        "p99 < 5ms",
        "unknown metric 'p99'; did you mean 'p(99)'?",
    ),
    (
        "p(99) < 5",
        "'5' is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h",
    ),
    (
        "mean(5) < 1s",
        "'mean' takes nothing in brackets; write 'mean'",
    ),
    (
        "avg < 5ms",
        "unknown metric 'avg'; metrics are errors, error_rate, p(99), min, mean, max, rate, "
        "iterations, dropped",
    ),
    (
        "men < 5ms",
        "unknown metric 'men'; did you mean 'mean'?",
    ),
    (
        "rate > 1000",
        "'1000' is not a rate; write a number a second or a minute such as 500/s, 30/m",
    ),
    (
        "iterations >= x",
        "'x' is not a count; compare 'iterations' with a whole number",
    ),
    (
        "send main #1: iterations > 5",
        "'iterations' counts the whole run; write it without a step",
    ),
    (
        "send main #2: p(99) < 5ms",
        "unknown step 'send main #2' in the threshold; did you mean 'send main #1'?",
    ),
    (
        ": p(99) < 5ms",
        "': p(99) < 5ms' has no step before the ':'; write [STEP:] METRIC OP VALUE, such as "
        "'errors == 0' or 'p(99) < 250ms'",
    ),
    (
        "x: connect p(99) < 5ms",
        "'x: connect p(99) < 5ms' names both a step and 'connect'; write one of them",
    ),
    (
        "",
        "'' is not a threshold; write [STEP:] METRIC OP VALUE, such as 'errors == 0' or "
        "'p(99) < 250ms'",
    ),
    (
        "dropped =< 0",
        "unknown operator '=<'; operators are == != < <= > >=",
    ),
    (
        "errors == 0 0",
        "'errors == 0 0' is not a threshold; write [STEP:] METRIC OP VALUE, such as 'errors "
        "== 0' or 'p(99) < 250ms'",
    ),
]


@pytest.mark.parametrize(("text", "mistake"), WHOLE_FILES)
def test_whole_files(text: str, mistake: str) -> None:
    assert mistakes_of(text) == [mistake]


@pytest.mark.parametrize(("line", "mistake"), KEYS)
def test_top_level_keys(line: str, mistake: str) -> None:
    """After two lines that are right."""
    assert mistakes_of(f"{TARGET}{STEPS_LINE}{line}\n") == [mistake]


@pytest.mark.parametrize(("step", "mistake"), STEPS)
def test_steps(step: str, mistake: str) -> None:
    assert mistakes_of(f"{TARGET}steps:\n  - {step}\n") == [mistake]


FRAMINGS = [
    ("lines", "2:27: unknown framing 'lines'; did you mean 'line'?"),
    (
        "json",
        "2:27: unknown framing 'json'; write line, until_close, {delimiter: BYTES}, {length_prefix:"
        " {bytes: 4}}, {fixed: SIZE}, {start: BYTES, end: BYTES} or {lines_until: RE}",
    ),
    (
        "fixed",
        "2:27: 'fixed' needs a value; write line, until_close, {delimiter: BYTES}, {length_prefix:"
        " {bytes: 4}}, {fixed: SIZE}, {start: BYTES, end: BYTES} or {lines_until: RE}",
    ),
    (
        "[line]",
        "2:27: 'framing' must not be a list; write line, until_close, {delimiter: BYTES},"
        " {length_prefix: {bytes: 4}}, {fixed: SIZE}, {start: BYTES, end: BYTES} or"
        " {lines_until: RE}",
    ),
    ("", "2:26: 'framing' has no value; write a text"),
    ("5", "2:27: 'framing' must be a text, not the number '5'; write it in quotes"),
    ("{delimitor: x}", "2:28: unknown key 'delimitor' in a framing; did you mean 'delimiter'?"),
    (
        "{max: 1KiB}",
        "2:27: a framing needs a form; write line, until_close, {delimiter: BYTES}, {length_prefix:"
        " {bytes: 4}}, {fixed: SIZE}, {start: BYTES, end: BYTES} or {lines_until: RE}",
    ),
    (
        "{line: true, fixed: 5}",
        "2:40: a framing has one form, this one has 'line' and 'fixed'",
    ),
    ("{line: 5}", "2:34: 'line' can only be true, not the number '5'"),
    ("{until_close: false}", "2:41: 'until_close' can only be true, not 'false'"),
    ("{delimiter: ''}", "2:39: 'delimiter' needs at least one byte"),
    (
        "{delimiter: '${user}'}",
        "2:39: 'delimiter' needs constant bytes, without ${...} or 'random'",
    ),
    (
        "{delimiter: {join: [{frame: a}]}}",
        "2:48: 'frame' needs to know where a frame ends: a step's sockets say so, and this is no"
        " step",
    ),
    ("{delimiter: ab, max: 1}", "2:48: 'max' must be at least 2 bytes, the size of the smallest"),
    ("{line: true, max: 0}", "2:45: 'max' must be at least 1 byte"),
    ("{line: true, max: 2GiB}", "2:45: 'max' must be at most 1073741824 bytes"),
    ("{line: true, max: big}", "2:45: 'big' is not a size; write a number of bytes such as 64,"),
    ("{fixed: 0}", "2:35: 'fixed' must be at least 1 byte"),
    (
        "{fixed: 32MiB}",
        "2:27: 'max' (16777216 unless it is given) must be at least 33554432 bytes, the size of the"
        " smallest frame",
    ),
    ("{start: '<'}", "2:28: 'start' needs 'end'; write {start: BYTES, end: BYTES}"),
    ("{end: '<'}", "2:33: 'end' needs 'start'; write {start: BYTES, end: BYTES}"),
    ("{start: '<', end: ''}", "2:45: 'end' needs at least one byte"),
    (
        "{start: '<', end: '>', line: true}",
        "2:50: a framing has one form, this one has 'start' and 'line'",
    ),
    (
        "{start: '<<', end: '>', max: 2}",
        "2:56: 'max' must be at least 3 bytes, the size of the smallest frame",
    ),
    ("{lines_until: [a]}", "2:41: 'lines_until' must be a text, not a list"),
    ("{lines_until: '(a'}", "2:41: 'lines_until': '(a' is no regex: missing ), unterminated"),
    (
        "{lines_until: '250-a\\n250 b'}",
        "2:41: 'lines_until': '250-a\\\\n250 b' matches no line: it goes on behind the end of one;"
        " write what the last line is",
    ),
    (
        "{lines_until: '(?:a\\r\\n){1,2}(b|c)'}",
        "2:41: 'lines_until': '(?:a\\\\r\\\\n){1,2}(b|c)' matches no line: it goes on behind the"
        " end of one; write what the last line is",
    ),
    (
        "{lines_until: '${user}'}",
        "2:41: 'lines_until': '${user}' nothing is replaced in it; it is the same for all frames",
    ),
    (
        "{lines_until: x, check: crc32}",
        "2:44: 'check' goes with no 'lines_until': text lines have no checksum",
    ),
    (
        "{sse: true, check: crc32}",
        "2:39: 'check' goes with no 'sse': text lines have no checksum",
    ),
    (
        "{line: true, check: md5}",
        "2:47: unknown checksum 'md5'; it is one of crc32, crc32c, crc16_modbus, crc16_ccitt, sum8,"
        " xor8",
    ),
    (
        "{line: true, order: big}",
        "2:40: 'order' goes with 'check'; that of a length stands in its 'length_prefix'",
    ),
    (
        "{fixed: 3, check: crc32}",
        "2:27: no frame is possible: 3 bytes have no room for a checksum of 4",
    ),
    (
        "{length_prefix: {bytes: 2}, check: xor8, max: 2}",
        "2:73: 'max' must be at least 3 bytes, the size of the smallest frame",
    ),
    (
        "{length_prefix: 4}",
        "2:43: 'length_prefix' must be a mapping, not the number '4'; write {bytes: 4}",
    ),
    (
        "{length_prefix: {}}",
        "2:43: 'length_prefix' needs to know how its length is written; write one of 'bytes: N' (1,"
        " 2, 3, 4 or 8), 'varint: true', 'digits: N'",
    ),
    ("{length_prefix: {bytes: 5}}", "2:51: 'bytes' must be 1, 2, 3, 4 or 8, not '5'"),
    (
        "{length_prefix: {bytes: 2, varint: true}}",
        "2:54: 'bytes' and 'varint' exclude each other; a length is written in one way",
    ),
    (
        "{length_prefix: {digits: 2, bytes: 2}}",
        "2:55: 'bytes' and 'digits' exclude each other; a length is written in one way",
    ),
    ("{length_prefix: {varint: false}}", "2:52: 'varint' can only be true, not 'false'"),
    (
        "{length_prefix: {varint: true, order: big}}",
        "2:58: 'order' goes with 'bytes', not with 'varint'",
    ),
    (
        "{length_prefix: {order: little, digits: 3}}",
        "2:59: 'order' goes with 'bytes', not with 'digits'",
    ),
    ("{length_prefix: {digits: 21}}", "2:52: 'digits' must be at most 20, not '21'"),
    ("{length_prefix: {bytes: 2, at: -1}}", "2:58: 'at' must be at least 0, not '-1'"),
    (
        "{length_prefix: {bytes: 2, at: 3, header: 4}}",
        "2:61: the length ends at byte 5, so 'header' must be at least 5",
    ),
    (
        "{length_prefix: {bytes: 1, adjust: 3, counts_itself: true}}",
        "2:54: 'counts_itself: true' says what 'adjust' would; leave one of them out",
    ),
    (
        "{length_prefix: {bytes: 1, adjust: -300}}",
        "2:27: no frame is possible: it needs the length 300, and a length of 1 byte holds at most"
        " 255",
    ),
    (
        "{length_prefix: {digits: 1, header: 20, counts_itself: true}}",
        "2:27: no frame is possible: it needs the length 20, and a length of 1 digit holds at most"
        " 9",
    ),
    (
        "{length_prefix: {bytes: 4, header: 8, adjust: 3}, max: 10}",
        "2:82: 'max' must be at least 11 bytes, the size of the smallest frame",
    ),
    (
        "{length_prefix: {byte: 4}}",
        "2:44: unknown key 'byte' in a 'length_prefix'; did you mean 'bytes'?",
    ),
    (
        "{length_prefix: {bytes: 4, order: network}}",
        "2:61: unknown order 'network'; it is one of big, little",
    ),
    (
        "{length_prefix: {bytes: 4, counts_itself: 1}}",
        "2:69: 'counts_itself' must be true or false, not the number '1'",
    ),
    (
        "{length_prefix: {bytes: 4}, max: 3}",
        "2:60: 'max' must be at least 4 bytes, the size of the smallest frame",
    ),
]

FRAMED_STEPS = [
    (
        "{start: '<', end: '>'}",
        "send: {frame: a>b}",
        "4:19: this body cannot be framed: the end b'>' in it would end its frame early",
    ),
    (
        "{fixed: 4, check: crc16_modbus}",
        "send: {frame: abc}",
        "4:19: this body cannot be framed: it has 5 bytes, and every frame has 4 ('fixed')",
    ),
    (
        "{lines_until: '250 .*'}",
        'expect: {frame: "250-a\\r\\n251 b"}',
        "4:21: this reply can never come: no line of it matches '250 .*' ('lines_until')",
    ),
    (
        "{lines_until: '250 .*'}",
        'expect: {frame: "250 a\\r\\n250 b"}',
        "4:21: this reply can never come: its line b'250 a' ends the frame already",
    ),
    (
        "{lines_until: '250 .*'}",
        "{send: {frame: a}, expect: {frame: {rule: echo}}}",
        "with this framing a server's frames are not like ours; a rule cannot answer",
    ),
    (
        "line",
        "send: {frame: a, header: b}",
        "4:30: 'header': with this framing a frame has no header to fill in",
    ),
    (
        "{length_prefix: {bytes: 2}}",
        "expect: {frame: a, header: b}",
        "4:32: 'header': the framing's header has nothing but the length, which is filled in",
    ),
    (
        "{length_prefix: {at: 1, varint: true}}",
        "send: {frame: a, header: {hex: 30}}",
        "4:30: 'header': its header has 1 bytes, and the framing's has 2, any 1 for the length",
    ),
    (
        "{length_prefix: {at: 1, varint: true}}",
        "{send: {frame: a}, expect: {frame: {rule: echo}, header: {rule: echo}}}",
        "a rule answers the body of a frame, not its header; write what it must be",
    ),
    ("line", 'send: {frame: "a\\nb"}', "this body cannot be framed: the delimiter"),
    (
        "{delimiter: aa}",
        "send: {frame: a}",
        "4:19: this body cannot be framed: the delimiter b'aa' would end its frame early",
    ),
    (
        "{fixed: 4}",
        "expect: {frame: abc}",
        "4:21: this body cannot be framed: it has 3 bytes, and every frame has 4 ('fixed')",
    ),
    (
        "{length_prefix: {bytes: 1}}",
        "send: {join: [{frame: {repeat: a, times: 256}}]}",
        "4:27: this body cannot be framed: it needs the length 256, and a length of 1 byte holds at"
        " most 255",
    ),
    (
        "{length_prefix: {bytes: 1, adjust: 3}}",
        "send: {frame: ab}",
        "4:19: this body cannot be framed: it needs the length -1, and there is none below zero",
    ),
    (
        "{length_prefix: {bytes: 2, counts_itself: true}}",
        "send: {frame: {repeat: a, times: 65534}}",
        "4:19: this body cannot be framed: it needs the length 65536, and a length of 2 bytes holds"
        " at most 65535",
    ),
    (
        "{line: true, max: 4}",
        "send: {frame: abcd}",
        "4:19: this body cannot be framed: its frame has 5 bytes, more than 'max' (4)",
    ),
    ("line", "send: {frame: {frame: a}}", "4:19: this body cannot be framed: the"),
    ("until_close", "send: {frame: ''}", "4:11: there is nothing to send; 'send' needs at least"),
    ("line", "send: {frame: {random: x}}", "4:28: 'x' is not a size;"),
    ("line", "expect: {frame: {random: 4}}", "4:21: 'random' bytes cannot be foretold; expect"),
    ("line", "expect: {frame: [a]}", "4:21: a frame's body must be a text or a mapping, not a"),
    ("line", "expect: {frame: 5}", "4:21: a frame's body must be a text, not the number '5'"),
    (
        "line",
        "expect: {frame: closed}",
        "4:21: 'closed' is no body of a frame; write a text, or one of regex, rule, length, any,"
        " starts_with, contains, not, one_of, text,"
        " hex, base64, file, random, repeat, int, varint, sized, checked, pick, join",
    ),
    ("line", "expect: {frame: {silence: 1s}}", "4:21: 'silence' is no body of a frame; write a"),
    ("line", "expect: {frame: {until: a}}", "4:21: 'until' is no body of a frame; write a text"),
    ("line", "expect: {frame: {frame: a}}", "4:21: 'frame' is no body of a frame; write a text"),
    ("line", "expect: {frame: {lenth: 3}}", "4:22: unknown key 'lenth' in a frame's body; did you"),
    ("line", "{send: {frame: a}, expect: {frame: reply}}", "4:40: 'reply' needs to know the"),
    (
        "line",
        "{send: a, expect: {frame: {rule: echo}}}",
        "4:38: a rule in a 'frame' answers the frame that the same step sends; write 'send: {frame:"
        " ...}' beside it",
    ),
    (
        "line",
        "{send: {frame: a}, expect: {frame: {rule: sink}}}",
        "4:47: the rule 'sink' answers nothing, so no frame would come",
    ),
    (
        "until_close",
        "expect: {join: [{frame: a}, b]}",
        "4:13: a frame of this framing is no fixed bytes; expect {frame: ...} by itself",
    ),
    (
        "line",
        "expect: {regex: 'a(b'}",
        "4:21: 'a(b' is no regex: missing ), unterminated subpattern, at its character 2",
    ),
    ("line", "expect: {regex: 'é(b'}", "at its character 2"),
    ("line", "expect: {any_order: []}", "4:14: 'any_order' holds no reply; write [{frame: A}, "),
    (
        "line",
        "expect: {any_order: [{rule: ok}]}",
        "a rule in a 'frame' answers the frame that the same",
    ),
    (
        "line",
        "expect: {any_order: [closed]}",
        "4:26: this is not one frame; write {frame: ...}, or",
    ),
    ("line", "expect: {length: 5, skip: b}", "4:14: 'skip' passes frames over, and this reply is"),
    ("until_close", "expect: {any_order: [a, b]}", "a connection brings one frame, never several"),
    ("until_close", "expect: {frame: a, skip: b}", "brings one frame, and 'skip' needs several"),
    ("line", "expect: {frame: a, skip: {rule: echo}}", "answers the frame that the same step"),
    ("line", 'expect: {any_order: ["a\\n"]}', "this body cannot be framed: the delimiter"),
    ("line", "expect: {starts_with: ''}", "4:27: 'starts_with' needs at least one byte; or write"),
    ("line", "expect: {contains: {random: 5}}", "4:24: 'random' bytes cannot be foretold; expect"),
    ("line", "expect: {frame: {any_order: [a]}}", "4:21: 'any_order' is no body of a frame; write"),
    ("line", "expect: {frame: {join: [any, any]}}", "two parts of this 'join' have an open length"),
    ("line", "expect: {frame: a, save: 5}", "4:30: 'save' must be a text, not the number '5'"),
    ("line", "expect: {regex: '(?u)b'}", "no regex: bad inline flags: cannot use 'u' flag with a"),
    ("line", "expect: {regex: 'a{9999999999999}'}", "no regex: the repetition number is too large"),
    ("line", "expect: {regex: 5}", "4:21: 'regex' must be a text, not the number '5'; write it"),
    (
        "line",
        "expect: {regex: '(?P<user>.)'}",
        "4:21: the group 'user' is built in; choose another",
    ),
    (
        "line",
        "expect: {regex: 'id ${usr}'}",
        "4:21: unknown name '${usr}'; did you mean 'user'?",
    ),
    ("line", "expect: {regex: a, until: ''}", "4:31: 'until' needs at least one byte"),
    (
        "line",
        "expect: {regex: a, length: 5}",
        "4:24: a reply has one form, this one has 'regex' and",
    ),
]


@pytest.mark.parametrize(("framing", "mistake"), FRAMINGS)
def test_framings(framing: str, mistake: str) -> None:
    text = f"{TARGET}sockets: {{main: {{framing: {framing}}}}}\nsteps: [{{send: {{frame: a}}}}]\n"
    (told,) = mistakes_of(text)
    assert told.startswith(mistake)


@pytest.mark.parametrize(("framing", "step", "mistake"), FRAMED_STEPS)
def test_framed_steps(framing: str, step: str, mistake: str) -> None:
    (told,) = mistakes_of(
        f"{TARGET}sockets: {{main: {{framing: {framing}}}}}\nsteps:\n  - {step}\n"
    )
    assert told.startswith("4:")
    assert mistake in told


def test_a_step_s_sockets_must_have_one_framing() -> None:
    text = (
        "sockets: {a: {framing: line}, b: {framing: {fixed: 4}}, c: }\n"
        + TARGET
        + "steps:\n"
        + "  - {on: [a, b], send: {frame: abcd}}\n"
        + "  - {on: all, send: {frame: abcd}}\n"
    )
    assert mistakes_of(text) == [
        "4:25: 'frame' needs to know where a frame ends: its sockets have different framings;"
        " write a step for each",
        "5:22: 'frame' needs to know where a frame ends: write 'sockets: {c: {framing: line}}' or"
        " another framing",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "{regex: '(?P<a>.'}",
        "{regx: '(?P<a>.)'}",
        "{regex: '(?P<a>.)', length: 1}",
        "{frame: {regx: a}}",
    ],
)
def test_what_a_wrong_regex_may_have_named_is_not_unknown(reply: str) -> None:
    head = TARGET + "sockets: {main: {framing: line}}\n"
    assert len(mistakes_of(f"{head}steps: [{{expect: {reply}}}, {{send: '${{a}}'}}]\n")) == 1


@pytest.mark.parametrize(("threshold", "mistake"), THRESHOLDS)
def test_thresholds(threshold: str, mistake: str) -> None:
    text = f"{TARGET}{STEPS_LINE}thresholds: [{threshold!r}]\n"
    assert mistakes_of(text) == [f"3:14: {mistake}"]


# --- all at once --------------------------------------------------------------------------------


def test_all_the_mistakes_of_a_file_come_at_once_in_its_order() -> None:
    text = (
        "nme: x\n"
        "target: {bundled: epol, reply: ecko}\n"
        "variables: {user: 1, a: }\n"
        "sockets: [a, b]\n"
        "before:\n"
        "  - {onn: a, send: 5}\n"
        "  - repeat: 0\n"
        "    do: [{on: c, expct: x}, {wait: 5}]\n"
        "steps:\n"
        "  - send: x\n"
        "  - {on: a, send: {join: [5, {hx: 00}]}, expect: {regex: x}, save: user}\n"
        "  - {together: [], barrier: x}\n"
        "load: {users: no, run_time: 5, max_users: 9}\n"
        "thresholds: [errs == 0, nobody: max < 1s, 5]\n"
        "on_error: abrt\n"
        "on_error: stop_user\n"
    )
    duration = "is not a duration; write a number with a unit such as 250us, 10ms, 5s, 2m, 1h"
    assert mistakes_of(text) == [
        "1:1: unknown key 'nme' in a scenario; did you mean 'name'?",
        "2:19: unknown model 'epol'; did you mean 'epoll'?",
        "2:32: unknown rule 'ecko'; did you mean 'echo'?",
        "3:13: the variable 'user' is built in; choose another name",
        "3:24: a variable must be a text, a number, true or false, not nothing; write '' for an"
        " empty text",
        "6:6: unknown key 'onn' in a step; did you mean 'on'?",
        "6:20: a payload must be a text, not the number '5'; write it in quotes",
        "7:13: 'repeat' must be at least 1, not '0'",
        "8:18: unknown key 'expct' in a step; did you mean 'expect'?",
        f"8:36: '5' {duration}",
        "10:5: no socket is called 'main', so a step must say 'on:' with one or more of a, b, or"
        " all",
        "11:27: a payload must be a text, not the number '5'; write it in quotes",
        "11:31: unknown key 'hx' in a payload; did you mean 'hex'?",
        "11:51: 'regex' needs to know where a frame ends: write 'sockets: {a: {framing: line}}' or"
        " another framing; or write 'until: BYTES' beside it",
        "11:68: the name 'user' is built in; choose another name",
        "12:20: a step has one action, this one has 'together' and 'barrier'; split it",
        "13:15: 'users' must be a whole number, not the text 'no'",
        f"13:29: '5' {duration}",
        "13:32: 'max_users' goes with 'rate' (open load); closed load has 'users'",
        "14:14: unknown metric 'errs'; did you mean 'errors'?",
        "14:25: a threshold must be a text; put the whole of it in quotes, as in"
        " \"'login': p(95) < 20ms\"",
        "14:43: a threshold must be a text, not the number '5'; write it in quotes",
        "15:11: unknown on_error 'abrt'; did you mean 'abort'?",
        "16:1: duplicate key 'on_error'; it stands at line 15 already",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            TARGET + "sockts: [a]\nsteps: [{on: a, send: x}]\n",
            "2:1: unknown key 'sockts' in a scenario; did you mean 'sockets'?",
        ),
        (
            TARGET + "varables: {a: 1}\nsteps: [{send: '${a}'}]\n",
            "2:1: unknown key 'varables' in a scenario; did you mean 'variables'?",
        ),
        (
            TARGET + "befor: [{expect: {length: 1}, save: a}]\nsteps: [{send: '${a}'}]\n",
            "2:1: unknown key 'befor' in a scenario; did you mean 'before'?",
        ),
        (
            TARGET + "steps: [{expect: {length: 1}, sav: a}, {send: '${a}'}]\n",
            "2:31: unknown key 'sav' in a step; did you mean 'save'?",
        ),
        (
            TARGET + "steps: [{expect: {regex: '(?P<a>.)'}}, {send: '${a}'}]\n",
            "2:19: 'regex' needs to know where a frame ends: write 'sockets: {main: {framing:"
            " line}}' or another framing; or write 'until: BYTES' beside it",
        ),
        (
            TARGET + "variables: {users: {csv: f}}\nsteps: [{send: '${users.name}'}]\n",
            "2:26: cannot read 'f': no such file or directory; files are looked for beside the"
            " scenario",
        ),
        (
            TARGET + "sockets: {a: {count: 0}, b: }\nsteps: [{on: 'a[3]', send: x}]\n",
            "2:22: 'count' must be at least 1, not '0'",
        ),
        (
            TARGET + "sockets: [a, b c]\nsteps: [{on: b c, send: x}]\n",
            "2:14: 'b c' is no name for a socket; use letters, digits, '_', '-' and '.'",
        ),
        (
            TARGET + "sockets: [a, b]\nsteps: [{onn: a, send: x}]\n",
            "3:10: unknown key 'onn' in a step; did you mean 'on'?",
        ),
        (
            TARGET + "steps: [{send: a, peces: 1, gap: 1ms}]\n",
            "2:19: unknown key 'peces' in a step; did you mean 'pieces'?",
        ),
        (
            TARGET + "steps: [{repeat: 2, doo: [{send: a}]}]\n",
            "2:21: unknown key 'doo' in a step; did you mean 'do'?",
        ),
        (
            TARGET + "steps: [{send: a, nam: x}]\nthresholds: ['x: max < 1s']\n",
            "2:19: unknown key 'nam' in a step; did you mean 'name'?",
        ),
        (
            TARGET + "steps: [&a {send: a}, {<<: *a, name: x}]\n",
            "2:24: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "sockets: {<<: {}, a: }\nsteps: [{on: b, send: x}]\n",
            "2:11: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "sockets: {a b: }\nsteps: [{on: b, send: x}]\n",
            "2:11: 'a b' is no name for a socket; use letters, digits, '_', '-' and '.'",
        ),
        (
            "target: {<<: {bundled: epoll}}\nsteps: [{expect: reply}]\n",
            "1:10: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "variables: {<<: {a: 1}}\nsteps: [{send: '${a}'}]\n",
            "2:13: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "steps: [{set: {<<: {a: 1}}}, {send: '${a}'}]\n",
            "2:16: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "steps: [{for: {<<: {a: [1]}}, do: [{send: '${a}'}]}]\n",
            "2:16: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "steps: [{send: {<<: {text: a}}}]\n",
            "2:17: merge keys ('<<') are not part of YAML 1.2; write the keys out",
        ),
        (
            TARGET + "varables: {a: [1]}\nsteps: [{for: {b: '${a}'}, do: [{send: '${b}'}]}]\n",
            "2:1: unknown key 'varables' in a scenario; did you mean 'variables'?",
        ),
        (
            "target: {bundled: epol}\nsteps: [{expect: reply}]\n",
            "1:19: unknown model 'epol'; did you mean 'epoll'?",
        ),
        (
            "steps: [{expect: reply}]\n",
            "1:1: no target; write a URL, {url: URL, reply: RULE} or {bundled: MODEL, reply: RULE}"
            " as 'target', or give --target",
        ),
        (
            TARGET + "steps: [&a {send: 5}, *a, *a]\n",
            "2:19: a payload must be a text, not the number '5'; write it in quotes",
        ),
    ],
)
def test_one_mistake_gives_one_line(text: str, mistake: str) -> None:
    """Even where other lines would make no sense because of it."""
    assert mistakes_of(text) == [mistake]


TWO_TARGETS = "target: {api: {url: 'tcp://h:1', reply: echo}, cache: 'tcp://h:2'}\n"
SEVERAL_TARGETS = [
    (
        "sockets: [a]\n" + STEPS_LINE,
        "2:10: with several targets each socket says which is its own; write 'sockets: {NAME: {to:"
        " TARGET}}' (targets are api, cache)",
    ),
    (
        "sockets: {a: {to: api}, b: }\n" + "steps: [{on: a, send: a}]\n",
        "2:27: the socket 'b' does not say which target is its own; write 'to:' (targets are api,"
        " cache)",
    ),
    (
        "sockets: {a: {to: api}, b: {nodelay: false}}\n" + "steps: [{on: a, send: a}]\n",
        "2:28: the socket 'b' does not say which target is its own; write 'to:' (targets are api,"
        " cache)",
    ),
    (
        "sockets: {a: {to: cashe}}\n" + STEPS_LINE,
        "2:19: unknown target 'cashe'; did you mean 'cache'?",
    ),
    (
        "sockets: {a: {to: 5}}\n" + STEPS_LINE,
        "2:19: 'to' must be a text, not the number '5'; write it in quotes",
    ),
    (
        "sockets: {a: {to: api}, b: {to: cache}}\nsteps: [{on: all, send: a, expect: reply}]\n",
        "3:36: 'reply' needs to know the rule of the target 'cache'; write 'reply: RULE' in the"
        " target, or give --reply cache=RULE (one of echo, upper, ok, received, upper_sb, hello,"
        " sink)",
    ),
]


@pytest.mark.parametrize(("text", "mistake"), SEVERAL_TARGETS)
def test_several_targets(text: str, mistake: str) -> None:
    assert mistakes_of(TWO_TARGETS + text) == [mistake]


ONE_OF_SEVERAL = [
    (
        "target: {api: {bundled: epol}, cache: 'tcp://h:2'}\nsockets: {a: {to: apii}}\n",
        "1:25: unknown model 'epol'; did you mean 'epoll'?",
    ),
    (
        "target: {api: {bundled: epoll}, cache: select}\nsockets: {a: {to: api}}\n",
        "1:40: 'select' is a model, not a URL; write {bundled: select}",
    ),
    (
        "target: {api: {bundled: epoll}, cache: []}\nsockets: {a: {to: api}}\n",
        "1:40: 'target' must not be a list; write a URL, {url: URL, reply: RULE} or {bundled:"
        " MODEL, reply: RULE}",
    ),
    (
        "target: {api: {}, cache: {bundled: epoll}}\nsockets: {a: {to: api}}\n",
        "1:15: a target needs 'url', 'bundled' or 'command'; write a URL, {url: URL, "
        "reply: RULE} or"
        " {bundled: MODEL, reply: RULE}",
    ),
    (
        "target: {bundled: epoll}\nsockets: {a: {to: api}}\n",
        "2:19: 'to' chooses among the names of several targets; this target has none; leave 'to'"
        " out",
    ),
]


@pytest.mark.parametrize(("head", "mistake"), ONE_OF_SEVERAL)
def test_a_mistake_in_a_target_is_told_once(head: str, mistake: str) -> None:
    assert mistakes_of(head + "steps: [{on: a, send: a, expect: reply}]\n") == [mistake]


def test_a_file_of_more_than_a_gibibyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30 + 1)
    text = TARGET + "steps: [{send: {file: huge}}]\n"
    with pytest.raises(ScenarioErrors) as caught:
        load(tmp_path / "s.yaml", text=text)
    assert caught.value.errors[0].message == "'huge' is larger than 1073741824 bytes"


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 20):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    assert mistakes_of("\n".join(lines)) == [
        "6:15: too large: the aliases stand for more than 200000 values"
    ]


PLUGINS = [
    (
        "steps: [{send: {http: /}}]",
        "2:10: 'http' is answered in the step that sends it; write 'expect:' beside it",
    ),
    (
        "steps: [{send: {join: [{http: /}, {http: /}]}, expect: {http: 200}}]",
        "2:10: 'http' is sent by itself, and answered before the next one; give each a"
        " step of its own",
    ),
    (
        "steps: [{send: {http: /}, expect: {resp: OK}}]",
        "2:27: 'http' is answered in the step that sends it; expect {http: ...}",
    ),
    (
        "steps: [{send: {http: /}, expect: {http: 99}}]",
        "2:42: a status is 200 to 599, not 99",
    ),
    (
        "steps: [{send: {http: /}, expect: {http: {status: ok}}}]",
        "2:51: 'status' must be a whole number, not the text 'ok'",
    ),
    (
        "steps: [{send: {http: /}, expect: {http: {stats: 200}}}]",
        "2:43: unknown key 'stats' in 'http'; did you mean 'status'?",
    ),
    (
        "steps: [{send: {http: {methd: GET}}, expect: {http: 200}}]",
        "2:24: unknown key 'methd' in 'http'; did you mean 'method'?",
    ),
    (
        "steps: [{send: {http: {method: CONNECT}}, expect: {http: 200}}]",
        "2:32: 'CONNECT' is no method that can be sent; write GET",
    ),
    (
        "steps: [{send: {http: '/a b'}, expect: {http: 200}}]",
        "2:23: 'http': Illegal target characters in the path b'/a b'; write %20 for a space",
    ),
    (
        "steps: [{send: {http: {headers: {a b: c}}}, expect: {http: 200}}]",
        "2:39: 'a b' is not the name of a header",
    ),
    (
        "steps: [{send: {http: /}, expect: {http: {body: {regex: '('}}}}]",
        "2:57: '(' is no regex: missing ), unterminated subpattern, at its character 1",
    ),
    (
        "steps: [{send: {htpp: /}, expect: {http: 200}}]",
        "2:17: unknown key 'htpp' in a payload; did you mean 'http'?",
    ),
    (
        "steps: [{send: {resp: PING}}]",
        "2:23: a command is a list; write {resp: [GET, key]}",
    ),
    (
        "steps: [{send: {resp: []}}]",
        "2:23: a command has at least one word; write {resp: [PING]}",
    ),
    (
        "steps: [{send: {resp: [PING]}, expect: {resp: {eror: a}}}]",
        "2:48: unknown key 'eror' in 'resp'; did you mean 'error'?",
    ),
    (
        "steps: [{send: {resp: [PING]}, expect: {resp: {any: false}}}]",
        "2:53: 'any' can only be true",
    ),
    (
        "steps: [{send: {resp: [PING]}, expect: {join: [{resp: [a]}]}}]",
        "2:40: what a plugin sends cannot stand in a reply",
    ),
    (
        "steps: [{send: {websocket: hi}}]",
        "2:17: 'websocket' is spoken on a socket with 'framing: websocket'; this one has none",
    ),
    (
        "sockets: {main: {framing: line}}\nsteps: [{send: {websocket: hi}}]",
        "3:17: 'websocket' is spoken on a socket with 'framing: websocket'; this one has another",
    ),
    (
        "sockets: {main: {framing: {websocket: {pth: /}}}}\nsteps: [{send: {websocket: hi}}]",
        "2:40: unknown key 'pth' in 'websocket'; did you mean 'path'?",
    ),
    (
        "sockets: {main: {framing: {websocket: {path: '/a b'}}}}\nsteps: [{send: {websocket: hi}}]",
        "2:39: this handshake cannot be sent: Illegal target characters",
    ),
    (
        "sockets: {main: {framing: websocket}}\nsteps: [{send: {frame: hi}}]",
        "3:24: this body cannot be framed: a message has a type; write {websocket: TEXT}"
        " or {binary: ...} within it",
    ),
    (
        "sockets: {main: {framing: websocket}}\nsteps: [{send: {websocket:"
        " {close: 5}}, expect: closed}]",
        "3:36: 5 is no code to close with; write 1000, or 3000 to 4999",
    ),
    (
        "sockets: {main: {framing: websocket}}\nsteps: [{send: {websocket: {close: 1000}}}]",
        "3:10: 'websocket' is answered in the step that sends it; write 'expect:' beside it",
    ),
    (
        "sockets: {main: {framing: websocket}}\nsteps: [{send: {websocket: {text: {hex: ff}}}}]",
        "3:28: 'websocket': a text is UTF-8; send {binary: ...} ('utf-8' codec can't"
        " decode byte 0xff in position 0: invalid start byte)",
    ),
    (
        "sockets: {main: {framing: {http: {max: 5}}}}\nsteps: [{send: {http:"
        " /}, expect: {http: 200}}]",
        "2:34: 'http' has no options; write 'framing: http' or {http: true, max: SIZE}",
    ),
    (
        "sockets: {main: {framing: {resp: true, max: 0}}}\nsteps: [{send: a}]",
        "2:45: 'max' must be at least 1 byte",
    ),
    (
        "sockets: {main: {framing: websockt}}\nsteps: [{send: a}]",
        "2:27: unknown framing 'websockt'; did you mean 'websocket'?",
    ),
]


@pytest.mark.parametrize(("steps", "mistake"), PLUGINS)
def test_what_the_protocols_that_ship_refuse(steps: str, mistake: str) -> None:
    needs.package("h11")
    needs.package("wsproto")
    assert mistakes_of(f"{TARGET}{steps}\n") == [mistake]
