"""URLs of servers: text in, `Url` out. Without YAML, for generator processes read them too."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, cast

from loadmux.language.meaning import schemes
from loadmux.language.meaning.servers import Url
from loadmux.units import quoted

URL_FORMS = "write tcp://HOST:PORT, tls://HOST:PORT, udp://[::1]:PORT or unix:///PATH"
# sun_path holds 108 bytes with its closing zero (unix(7)).
LONGEST_UNIX_PATH = 107

NETWORKED = ("tcp", "tls", "udp")

_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:/@]*)):([0-9]{1,9})")
_HOST = re.compile(r"[\w.-]+")


def parse_url(text: str) -> Url:
    """A URL as URL_FORMS says; raises ValueError, for one line."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        forms = f"write tcp://{text}" if _HOST_AND_PORT.fullmatch(text) else URL_FORMS
        raise ValueError(f"{quoted(text)} is not a URL; {forms}")
    if scheme in NETWORKED:
        return _networked(cast(Literal["tcp", "tls", "udp"], scheme), text, rest)
    if scheme != "unix":
        forms = schemes.remedy(scheme, rest) or URL_FORMS
        raise ValueError(f"unknown scheme {quoted(scheme)} in {quoted(text)}; {forms}")
    if not rest.startswith("/") or rest.endswith("/") or "\0" in rest:
        raise ValueError(f"{quoted(text)} needs an absolute path to a socket; write unix:///PATH")
    if len(rest.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f"the path of a unix socket has at most {LONGEST_UNIX_PATH} bytes")
    return Url("unix", path=rest)


def _networked(scheme: Literal["tcp", "tls", "udp"], text: str, rest: str) -> Url:
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        hint = "; an IPv6 address stands in brackets" if rest.count(":") > 1 else ""
        raise ValueError(f"{quoted(text)} needs a host and a port{hint}; {URL_FORMS}")
    port = int(match[3])
    if not 1 <= port <= 65535:
        raise ValueError(f"the port in {quoted(text)} must be 1 to 65535")
    if match[1] is not None:
        try:
            return Url(scheme, str(ipaddress.IPv6Address(match[1])), port)
        except ValueError:
            raise ValueError(f"{quoted(match[1])} is not an IPv6 address; {URL_FORMS}") from None
    host = match[2]
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"{quoted(text)} needs a host and a port; {URL_FORMS}")
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{quoted(host)} is not an IPv4 address; {URL_FORMS}") from None
    return Url(scheme, host, port)
