"""The option `tls` of a socket: files found, read and tried, so that our own mistakes come first.

A handshake that fails later is then the target's doing. File names are relative to the scenario's
folder; what stays in the scenario are absolute paths, which every generator process reads again.
"""

from __future__ import annotations

from pathlib import Path

from loadmux.driver.tls import BadFile, check_server_name, client_context
from loadmux.loader import reader
from loadmux.loader.reader import Fields, Mistakes, kind_of
from loadmux.scenario import Tls
from loadmux.units import quoted
from loadmux.yamltree import MappingNode, Node

OPTIONS = ("ca", "cert", "key", "server_name", "verify")
FORMS = "write {ca: FILE}, {cert: FILE, key: FILE}, {server_name: NAME} or {verify: false}"


def read(mistakes: Mistakes, node: Node, what: str) -> Tls | None:
    """The options of `tls`, tried out: a context can be made of them."""
    if not isinstance(node, MappingNode):
        mistakes.add(node.where, f"{what} must be a mapping, not {kind_of(node)}; {FORMS}")
        return None
    fields = Fields(mistakes, node, what, OPTIONS)
    before = len(mistakes)
    ca, cert, key = (fields.read(name, _path) for name in ("ca", "cert", "key"))
    options = Tls(
        node.where,
        ca,
        cert,
        key,
        fields.read("server_name", _server_name),
        fields.read("verify", reader.boolean) is not False,
    )
    if "key" in fields and "cert" not in fields and "cert" not in fields.meant:
        message = "'key' needs 'cert: FILE', the certificate that it belongs to"
        mistakes.add(fields.where_of("key"), message)
    if len(mistakes) > before or fields.refused:
        return None
    return options if _usable(mistakes, fields, options) else None


def _usable(mistakes: Mistakes, fields: Fields, options: Tls) -> bool:
    try:
        client_context(options.ca, options.cert, options.key, options.verify)
    except BadFile as error:
        node = fields.value(error.option) or fields.value("cert")
        assert node is not None
        mistakes.add(node.where, str(error))
        return False
    return True


def _path(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """An absolute path; a relative one is looked for beside the scenario."""
    name = reader.label(mistakes, node, what)
    if name is None:
        return None
    return str((Path(node.where.path).parent / name).resolve())


def _server_name(mistakes: Mistakes, node: Node, what: str) -> str | None:
    """A name as it can stand in a certificate and in SNI (RFC 6066, 3)."""
    name = reader.label(mistakes, node, what)
    if name is None:
        return None
    try:
        check_server_name(name)
    except ValueError:
        mistakes.add(node.where, f"{quoted(name)} is not the name of a host")
        return None
    return name
