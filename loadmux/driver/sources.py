"""From which address a connection comes: one, or those of a CIDR block in turn.

A connection is told apart by both addresses and both ports, so one machine has some 28,000 (the
ephemeral ports, ip(7)) to one address and port of a server; every further source address gives as
many again. The addresses of a block are dealt out in order, one to each socket of each user, and a
socket that connects anew takes the next one: the same run binds the same addresses, and all of them
are used alike.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
MOST_TRIED = 1024
"""Addresses of a block that one connect tries where the ports of one after the other are gone."""


def usable(network: Network) -> tuple[int, int]:
    """The first usable address of a block, as a number, and how many there are.

    Left out are a subnet's own address and its broadcast address (IPv4, RFC 1122, 3.2.1.3; not for
    a /31, RFC 3021) or its routers' anycast address (IPv6, RFC 4291, 2.6.1). Within 127.0.0.0/8 all
    addresses are the machine's own, and only those two of the /8 itself are none.
    """
    first, last = int(network.network_address), int(network.broadcast_address)
    if first == last:
        return first, 1
    if isinstance(network, ipaddress.IPv6Network):
        return (first + 1, last - first) if network.prefixlen < 127 else (first, last - first + 1)
    if network.subnet_of(LOOPBACK):
        first = max(first, int(LOOPBACK.network_address) + 1)
        last = min(last, int(LOOPBACK.broadcast_address) - 1)
    elif network.prefixlen < 31:
        first, last = first + 1, last - 1
    return first, last - first + 1


@dataclass(frozen=True, slots=True)
class Sources:
    """Addresses to bind to: `only` this one, or `count` of them from the number `first` on.

    `offset` and `stride`: which of the user's `stride` sockets that share this block it is for.
    """

    version: int
    first: int
    count: int
    only: str | None = None
    offset: int = 0
    stride: int = 1

    def address(self, user: int, turn: int) -> str:
        """The address for the `turn`-th connect (from 0) of this socket of user number `user`."""
        return self[(user * self.stride + self.offset + turn) % self.count]

    def __getitem__(self, index: int) -> str:
        if self.only is not None:
            return self.only
        number = self.first + (index if index >= 0 else self.count + index)
        if self.version == 4:
            return socket.inet_ntoa(number.to_bytes(4, "big"))
        return str(ipaddress.IPv6Address(number))

    @property
    def tries(self) -> int:
        return min(self.count, MOST_TRIED)


def sources(text: str, offset: int = 0, stride: int = 1) -> Sources:
    """The addresses of a block such as `127.0.1.0/24`, or of one address.

    Raises ValueError for anything else, also where an address has bits beside the block's.
    """
    if "/" not in text:
        address = ipaddress.ip_address(text)  # an IPv6 one may have a zone, which a block has not
        return Sources(address.version, int(address), 1, str(address))
    network = ipaddress.ip_network(text)
    first, count = usable(network)
    return Sources(network.version, first, count, None, offset, stride)
