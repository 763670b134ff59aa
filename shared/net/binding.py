"""Channel bindings of a TLS connection: values that both ends know and nobody between them can make equal.

- ``tls-server-end-point`` (RFC 5929 §4): a hash of the server's certificate; the same for every connection.
- ``tls-exporter`` (RFC 9266): a value exported from the connection's own secrets; TLS 1.3 only here.

Python's ssl has no exporter. OpenSSL does tell the exporter's secret of a TLS 1.3 handshake by its key log (the format of
SSLKEYLOGFILE: "EXPORTER_SECRET", client random, secret), which Python lets us set; RFC 8446 §7.5 says how values are exported
from it. So the key log of a server context here is an unnamed pipe that this process alone holds: each step of a handshake is followed
by reading it empty, the exported value is kept, everything else is forgotten. Nothing of it reaches a disk or a log. A step of a
handshake runs whole in one thread, so what the pipe then holds is of that connection. Where the pipe cannot be opened again
by its name (no /proc), there is no exporter, and the other binding remains.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
import weakref
from typing import Final

END_POINT: Final = "tls-server-end-point"
EXPORTER: Final = "tls-exporter"

_LABEL: Final = b"EXPORTER-Channel-Binding"
_VALUE_OCTETS: Final = 32
_PIPE_OCTETS: Final = 64 * 1024
_SECRET_WORD: Final = b"EXPORTER_SECRET"
_HASHES: Final = {32: "sha256", 48: "sha384"}
"""By the length of the secret: TLS 1.3 knows these two."""

# The hash of a certificate's signature, by the algorithm's OID
_RSA: Final = bytes.fromhex("2a864886f70d0101")
_ECDSA: Final = bytes.fromhex("2a8648ce3d0403")
_SIGNATURE_HASHES: Final = {
    # RFC 5929 §4.1: MD5 and SHA-1 are replaced by SHA-256
    _RSA + b"\x04": "sha256",
    _RSA + b"\x05": "sha256",
    bytes.fromhex("2a8648ce3d0401"): "sha256",
    _RSA + b"\x0b": "sha256",
    _RSA + b"\x0c": "sha384",
    _RSA + b"\x0d": "sha512",
    _RSA + b"\x0e": "sha224",
    _ECDSA + b"\x01": "sha224",
    _ECDSA + b"\x02": "sha256",
    _ECDSA + b"\x03": "sha384",
    _ECDSA + b"\x04": "sha512",
}


def end_point_value(certificate: bytes) -> bytes | None:
    """The value of tls-server-end-point for a DER certificate; None where none is defined (Ed25519, RSASSA-PSS, not a certificate)."""
    # RFC 5929 §4.1: undefined for signatures without one hash of their own
    try:
        _, body, _ = _element(certificate)
        _, _, rest = _element(body)  # tbsCertificate
        _, algorithm, _ = _element(rest)
        _, oid, _ = _element(algorithm)
    except IndexError:
        return None
    name = _SIGNATURE_HASHES.get(oid)
    return None if name is None else hashlib.new(name, certificate).digest()


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, value and what follows of a DER element. Raises IndexError."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise IndexError
    return data[0], data[start : start + length], data[start + length :]


def exporter_value(secret: bytes) -> bytes | None:
    """The value of tls-exporter from a TLS 1.3 exporter secret; None for a secret of no known length."""
    name = _HASHES.get(len(secret))
    if name is None:
        return None
    # RFC 8446 §7.5: TLS-Exporter(label, "", 32)
    empty = hashlib.new(name, b"").digest()
    derived = _expand_label(name, secret, _LABEL, empty, len(secret))
    return _expand_label(name, derived, b"exporter", empty, _VALUE_OCTETS)


def _expand_label(name: str, secret: bytes, label: bytes, context: bytes, octets: int) -> bytes:
    """RFC 8446 §7.1 HKDF-Expand-Label, for at most one block."""
    full = b"tls13 " + label
    info = octets.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", name)[:octets]


class ServerContext(ssl.SSLContext):
    """A server's context that can tell the channel bindings of its connections."""

    end_point: bytes | None = None
    """The value of tls-server-end-point."""
    _key_log: int = -1

    def open_key_log(self) -> None:
        """Make the exporter available, where the system lets us."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.keylog_filename = f"/proc/self/fd/{writer}"
        except (OSError, ValueError):
            os.close(reader)
            return
        finally:
            os.close(writer)
        self._key_log = reader
        weakref.finalize(self, os.close, reader)
        self.take_exporter()  # a header

    def take_exporter(self) -> bytes | None:
        """The value of tls-exporter, if the last step of a handshake came so far. To be called after each step."""
        if self._key_log < 0:
            return None
        try:
            written = os.read(self._key_log, _PIPE_OCTETS)
        except BlockingIOError:
            return None
        value = None
        for line in written.splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == _SECRET_WORD:
                value = exporter_value(bytes.fromhex(words[2].decode("ascii")))
        return value
