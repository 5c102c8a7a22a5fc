"""The option `tls` of a socket: certificates, names and versions that were tried out.

Its files are found, read and tried, so that our own mistakes come first: a handshake that fails
later is the target's doing. File names are relative to the scenario's folder; what stays in the
scenario are absolute paths, which every generator process reads again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from loadmux.language.grammar.contract import Schema, Schemas, Type, Writing
from loadmux.language.grammar.reading import Reading
from loadmux.language.grammar.shapes import Fields, Key, Keys, Needs
from loadmux.language.grammar.types import Boolean, Choice, Constant, Label
from loadmux.language.meaning.scenario import Tls
from loadmux.language.text import nodes
from loadmux.language.text.yamltree import ListNode, Node
from loadmux.units import quoted


class File(Label):
    """An absolute path; a relative one is looked for beside the scenario."""

    word = "file"

    def made(self, r: Reading, node: Node, text: str, what: str) -> Any:
        return str((Path(node.where.path).parent / super().made(r, node, text, what)).resolve())


def server_name(text: str) -> str:
    """A name as it can stand in a certificate and in SNI (RFC 6066, 3)."""
    from loadmux.driver.tls import check_server_name  # OpenSSL, for those who name it

    try:
        check_server_name(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not the name of a host") from None
    return text


class Version(Choice):
    """A version of TLS, which YAML takes for a number."""

    def __init__(self) -> None:
        super().__init__(("1.2", "1.3"))

    def read(self, r: Reading, node: Node, what: str) -> Any:
        text = Constant().read(r, node, what)
        wrong = text is None or text in self.words
        return text if wrong else r.refuse(node, f"{what} must be 1.2 or 1.3, not {quoted(text)}")

    def schema(self, s: Schemas) -> Schema:
        return {"enum": [*self.words, *map(float, self.words)]}


class Protocols(Type):
    """Names of protocols, the best one first."""

    word = "list of names"

    def read(self, r: Reading, node: Node, what: str) -> tuple[str, ...] | None:
        items = node.items if isinstance(node, ListNode) else (node,)
        names: list[str] = []
        for item in items:
            name = nodes.text(r.mistakes, item, "a protocol of 'alpn'")
            if name is None:
                return None
            if not 0 < len(name.encode()) < 256:
                return r.refuse(item, "the name of a protocol has 1 to 255 bytes")
            if name in names:
                return r.refuse(item, f"'alpn' names {quoted(name)} twice")
            names.append(name)
        if not names:
            return r.refuse(node, "'alpn' names no protocol; write [h2, http/1.1]")
        return tuple(names)

    def schema(self, s: Schemas) -> Schema:
        name = {"type": "string", "minLength": 1, "maxLength": 255}
        listed = {"type": "array", "items": name, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [name, listed]}

    def write(self, value: Any, w: Writing) -> Any:
        return list(value) if value else None


class TlsOptions(Keys):
    """Options that were tried out: a context can be made of them."""

    def build(self, r: Reading, fields: Fields, node: Node) -> Tls | None:
        found: Tls | None = super().build(r, fields, node)
        if found is None:
            return None
        from loadmux.driver.tls import BadFile, client_context

        try:
            files = found.ca, found.cert, found.key
            client_context(*files, found.verify, found.versions, found.alpn)
        except BadFile as error:
            at = fields.node(error.option) or fields.node("cert") or node
            return r.refuse(at, str(error))
        return replace(found, where=node.where)


# fmt: off
TLS = TlsOptions("'tls'", (
    Key("ca", File(), "PEM file with the CAs to trust; by default the system's."),
    Key("cert", File(), "PEM file with our own certificate, for a server that asks for it."),
    Key("key", File(), "PEM file with its key; by default in the same file."),
    Key("server_name", Label(server_name), "The name to ask for and to find; by default the URL's"
        " host."),
    Key("verify", Boolean(), "`false` takes any certificate.", default=True),
    Key("alpn", Protocols(), "The protocols that are offered by ALPN, the best one first; a server"
        " that knows none of them ends the handshake, or passes ALPN over.",
        default=(),
        examples=('target: {url: "tls://127.0.0.1:8443", reply: echo}\n'
            "sockets: {main: {tls: {verify: false, alpn: [h2, http/1.1]}}}",)),
    Key("min_version", Version(), "The oldest version of TLS to speak; by default the system's.",
        examples=('target: {url: "tls://127.0.0.1:8443", reply: echo}\n'
            "sockets: {main: {tls: {verify: false, min_version: 1.2, max_version: 1.3}}}",)),
    Key("max_version", Version(), "The newest version of TLS to speak; by default the newest."),
    Key("handshake", Choice(("at_once", "later")), "`later`: a connection to a `tls://` target is"
        " plain until a step `start_tls`, so that a client can leave before it has begun, or say"
        " nothing.", default="at_once",
        examples=('target: {url: "tls://127.0.0.1:8443", reply: echo}\n'
            "sockets: {silent: {tls: {verify: false, handshake: later}}, main: {tls: {verify: false"
            "}}}\n"
            "steps: [{connect: silent}, {on: main, send: hello, expect: reply}]",)),
), Tls, remedy="write {ca: FILE}, {cert: FILE, key: FILE}, {server_name: NAME} or {verify: false}",
    relations=(
        Needs("key", ("cert",), "'key' needs 'cert: FILE', the certificate that it belongs to"),))
# fmt: on
