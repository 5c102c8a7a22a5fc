"""What to write in place of a protocol's URL: targets are sockets, protocols are forms of steps."""

from __future__ import annotations

from typing import NamedTuple

from loadmux.units import quoted


class _Scheme(NamedTuple):
    """The socket's scheme and usual port, and how the protocol is spoken on it."""

    socket: str
    port: int
    speak: str = ""


_HTTP = "and for each request a step such as {{send: {{http: {path}}}, expect: {{http: 200}}}}"
_WEBSOCKET = "with 'sockets: {{main: {{framing: {{websocket: {{path: {path}}}}}}}}}'"
_RESP = "with steps such as {{send: {{resp: [PING]}}, expect: {{resp: PONG}}}}"

_SCHEMES = {
    "http": _Scheme("tcp", 80, _HTTP),
    "https": _Scheme("tls", 443, _HTTP),
    "ws": _Scheme("tcp", 80, _WEBSOCKET),
    "wss": _Scheme("tls", 443, _WEBSOCKET),
    "redis": _Scheme("tcp", 6379, _RESP),
    "rediss": _Scheme("tls", 6379, _RESP),
    "ssl": _Scheme("tls", 0),
    "tcps": _Scheme("tls", 0),
    "socket": _Scheme("tcp", 0),
    "mqtt": _Scheme("tcp", 1883),
    "mqtts": _Scheme("tls", 8883),
    "amqp": _Scheme("tcp", 5672),
    "amqps": _Scheme("tls", 5671),
    "memcached": _Scheme("tcp", 11211),
    "postgres": _Scheme("tcp", 5432),
    "postgresql": _Scheme("tcp", 5432),
    "mysql": _Scheme("tcp", 3306),
    "mongodb": _Scheme("tcp", 27017),
    "smtp": _Scheme("tcp", 25),
    "smtps": _Scheme("tls", 465),
    "imap": _Scheme("tcp", 143),
    "imaps": _Scheme("tls", 993),
    "ftp": _Scheme("tcp", 21),
    "telnet": _Scheme("tcp", 23),
    "irc": _Scheme("tcp", 6667),
    "ircs": _Scheme("tls", 6697),
    "nats": _Scheme("tcp", 4222),
    "grpc": _Scheme("tcp", 0),
    "dns": _Scheme("udp", 53),
    "coap": _Scheme("udp", 5683),
    "statsd": _Scheme("udp", 8125),
    "syslog": _Scheme("udp", 514),
}


def remedy(scheme: str, rest: str) -> str:
    """How to say `SCHEME://REST`; empty for a scheme that nobody knows."""
    known = _SCHEMES.get(scheme)
    if known is None:
        return ""
    place, slash, path = rest.partition("/")
    place = place.rpartition("@")[2]
    bare = place.rpartition("]")[2] if place.startswith("[") else place
    if ":" not in bare:
        place += f":{known.port or 'PORT'}"
    written = f"write {quoted(f'{known.socket}://{place}')[1:-1]}"
    speak = known.speak.format(path=_path(slash + path))
    return f"{written}, {speak}" if speak else written


def _path(path: str) -> str:
    """A path as it stands in braces: in quotes where it needs them."""
    shown = path if path and path.isprintable() and len(path) <= 60 else "/"
    return shown if shown.replace("/", "").isalnum() or shown == "/" else f'"{shown}"'
