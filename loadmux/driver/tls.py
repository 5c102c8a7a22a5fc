"""TLS on the driver's own loop: a `Secured` socket has `send` and `recv` as a plain one has them.

The protocol runs in memory (`SSLContext.wrap_bio`) and the bytes go through the connection's own
non-blocking socket, so that the driver keeps its contract with the poller, which is about *that*
socket: `send` and `recv` raise BlockingIOError when the kernel has nothing or no room, and a `recv`
that returns less than was asked for has emptied the kernel's buffer *and* what was decrypted.

What OpenSSL and TLS 1.3 make different from TCP, and where it is dealt with:
- A record is encrypted once. When the kernel does not take all of it, `send` raises, and the caller
  offers the same bytes again, as `send_rest` does: then the rest leaves and they are counted.
- Reading can make bytes to send (an answer to a key update), and bytes can arrive that are no data
  (session tickets): `recv` sends the former and passes over the latter.
- The end of data is the alert close_notify. A FIN without it may have been made by anybody on the
  way (RFC 8446, 6.1): `recv` raises `Unfinished` then, never b"".
- An end that was found behind data is told by `on_end`: the kernel will not tell it again.

Sessions are not resumed: each connect is a full handshake. Facts: ssl's documentation, RFC 8446.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from loadmux.driver.poller import READABLE, WRITABLE
from loadmux.errors import Fault

RAW = 64 * 1024
RECORD = 16 * 1024
RECORDS = range(20, 25)
"""How records begin: the types of content, RFC 8446, 5.1."""
SENT_AT_ONCE = 64 * 1024
"""Bytes that are encrypted before the kernel is asked whether it has room for any of them."""
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
NOT_TLS = {"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
# verify(1ssl): the numbers of X509_V_ERR_*.
EXPIRED = 10
NAME_MISMATCHES = (62, 64)
UNTRUSTED = (18, 19, 20, 21)
Octets = bytes | memoryview


class Unfinished(ConnectionError):
    """The peer ended the TCP connection without close_notify."""

    def __init__(self) -> None:
        super().__init__(None, "it ended without TLS close_notify, so it may have been cut off")


class BadFile(ValueError):
    """A certificate, key or CA file is of no use; `option` says which of them."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


def client_context(
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    verify: bool = True,
    versions: tuple[str | None, str | None] = (None, None),
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """What all connections of an endpoint share. `ca`, `cert` and `key` are paths of PEM files.

    `ca` None trusts the system's CAs; `key` None looks for the key in `cert`. `versions` are the
    lowest and the highest of `VERSIONS` to speak, `alpn` the protocols that are offered, the best
    first (RFC 7301). Raises BadFile.
    """
    for option, path in (("ca", ca), ("cert", cert), ("key", key)):
        if path is not None:
            _check_readable(option, path)
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise BadFile("ca", f"{ca} holds no certificate in PEM form") from None
    context.options |= ssl.OP_NO_RENEGOTIATION  # or a send could have to wait for a read
    _set_versions(context, *versions)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        _load_chain(context, cert, key)
    return context


def _set_versions(context: ssl.SSLContext, least: str | None, most: str | None) -> None:
    if least is not None and most is not None and most < least:
        raise BadFile("max_version", f"'max_version' ({most}) is below 'min_version' ({least})")
    if least is not None:
        context.minimum_version = VERSIONS[least]
    if most is not None:
        context.maximum_version = VERSIONS[most]


def check_server_name(name: str) -> None:
    """Raises ValueError where a server cannot be asked for by this name."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name
    )


def _check_readable(option: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise BadFile(option, f"cannot read {path}: {reason.lower()}") from None


def _load_chain(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def refuse() -> str:
        raise BadFile("key", f"the key in {key or cert} is encrypted; give one without passphrase")

    try:
        context.load_cert_chain(cert, key, refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"the key in {key or cert} is not that of the certificate in {cert}"
            raise BadFile("key" if key else "cert", text) from None
        if key is None:
            text = f"{cert} does not hold a certificate and its key in PEM form; give 'key' too"
            raise BadFile("cert", text) from None
        text = f"{cert} and {key} are not a certificate and its key in PEM form"
        raise BadFile("cert", text) from None


class Secured:
    """One TLS client connection over a connected, non-blocking `sock`; see the module.

    All methods raise OSError (ssl.SSLError is one) where the connection is lost.
    """

    __slots__ = (
        "_begun",
        "_decrypted",
        "_encrypted",
        "_end",
        "_in",
        "_on_end",
        "_out",
        "_pending",
        "_sock",
        "_tls",
        "no_record",
        "ready",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_name: str | None,
        on_end: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name)
        self._on_end = on_end
        self._pending = b""
        self._encrypted = 0
        self._decrypted = b""
        self._end: OSError | bytes | None = None
        self.ready = False
        """The handshake is over."""
        self.no_record = b""
        """What came first, where it does not begin as TLS does."""
        self._begun = False

    @property
    def pending(self) -> int:
        """Encrypted bytes that the kernel has not taken yet."""
        return len(self._pending)

    @property
    def unfinished(self) -> bool:
        """The peer's end came without close_notify."""
        return isinstance(self._end, Unfinished)

    def handshake(self) -> int:
        """Go on with the handshake: 0 when it is over, else the readiness to wait for."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self._try_to_flush()  # the alert that tells the server why
                raise
            else:
                self.ready = True
            if not self._try_to_flush():
                return WRITABLE
            if self.ready:
                return 0
            try:
                raw = self._sock.recv(RAW)
            except BlockingIOError:
                return READABLE
            if not raw:
                raise Unfinished
            if not self._begun:
                self._begun = True
                self.no_record = b"" if raw[0] in RECORDS else raw
            self._in.write(raw)

    def send(self, data: Octets) -> int:
        """Send some of `data`: how many bytes of it the kernel has taken, encrypted, as a whole.

        After a BlockingIOError the same bytes must be offered again.
        """
        if not self._encrypted:
            self._encrypted = self._tls.write(data[:SENT_AT_ONCE])
        self._flush()
        sent, self._encrypted = self._encrypted, 0
        return sent

    def give_up(self) -> None:
        """The rest of what was offered last will not be offered again.

        A record that has left in part must leave whole all the same, ahead of what is sent next.
        """
        self._encrypted = 0

    def _flush(self) -> None:
        """Hand to the kernel what is encrypted. BlockingIOError when it does not take all."""
        data = self._pending + self._out.read() if self._pending else self._out.read()
        while data:
            try:
                sent = self._sock.send(data)
            except OSError:
                self._pending = data
                raise
            data = data[sent:]
        self._pending = b""

    def _try_to_flush(self) -> bool:
        try:
            self._flush()
        except BlockingIOError:
            return False
        except OSError:
            return True  # the next read says why
        return True

    def recv(self, size: int) -> bytes:
        """Up to `size` decrypted bytes; b"" after close_notify."""
        self._fill(size)
        if self._decrypted:
            data, self._decrypted = self._decrypted[:size], self._decrypted[size:]
            if self._end is not None:
                self._on_end()
            return data
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, OSError):
            raise self._end
        return self._end

    def peek(self, size: int) -> bytes:
        """As `recv`, but the bytes stay where they are, and nothing is raised."""
        self._fill(size)
        return self._decrypted[:size]

    def _fill(self, size: int) -> None:
        """Decrypt until there are `size` bytes, the kernel has no more, or an end is found.

        That a read was short proves that the kernel had no more *data*. With nothing to hand out
        that is not enough: BlockingIOError would deny an end that has been announced already.
        """
        parts, got = [self._decrypted], len(self._decrypted)
        drained = False
        while got < size and self._end is None:
            if not (self._in.pending or self._tls.pending()):
                if (drained and got) or (raw := self._raw()) is None:
                    break
                self._in.write(raw)
                drained = len(raw) < RAW
            data = self._read(size - got)
            parts.append(data)
            got += len(data)
        self._decrypted = b"".join(parts)
        if self._out.pending:
            self._try_to_flush()

    def _raw(self) -> bytes | None:
        """What the kernel has; None when that is nothing, or the end."""
        try:
            raw = self._sock.recv(RAW)
        except BlockingIOError:
            return None
        except OSError as error:
            self._end = error
            return None
        if not raw:
            self._end = Unfinished()
            return None
        return raw

    def _read(self, size: int) -> bytes:
        """Decrypted bytes, b"" when a record is not complete yet or the end was found."""
        try:
            data = self._tls.read(min(size, RECORD))
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            self._end = error
            return b""
        if not data:
            self._end = b""
        return data

    def finish(self) -> bool:
        """Send close_notify; false if the kernel has no room for it now.

        What has arrived is decrypted before: OpenSSL's SSL_shutdown would choke on data, and
        reading goes on after it.
        """
        if not self.ready:
            return True
        while self._end is None and (self._in.pending or self._tls.pending()):
            data = self._read(RECORD)
            if not data:
                break
            self._decrypted += data
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        return self._try_to_flush()


def described(error: OSError) -> str:
    """Why TLS failed, in one line fit for a report."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrusted(error)
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    reason = error.reason or ""
    words = reason.lower().replace("_", " ") or "protocol error"
    if "ALERT" in reason:
        return f"the server refused it ({words})"
    if reason in NOT_TLS:
        return f"what answers there does not speak TLS ({words})"
    return words


def broken(fault: Fault, error: ssl.SSLError) -> Fault:
    """The `fault` that this is, whoever stood still: only an alert may come of a server's time-out,
    wrong bytes do not.
    """
    if "ALERT" not in (error.reason or ""):
        fault.evidence.unjudged = False
    return fault


def _distrusted(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if error.verify_code == EXPIRED:
        return "the server's certificate has expired"
    if error.verify_code in NAME_MISMATCHES:
        return f"the server's certificate is for another name: {said}"
    if error.verify_code in UNTRUSTED:
        remedy = "give its CA as 'tls: {ca: FILE}'"
        return f"the server's certificate is not trusted: {said}; {remedy}"
    return f"the server's certificate is not valid: {said}"
