"""TLS contexts: the server's, which follows its certificate files, and the ones for connections that we open.

Laws:
- TLS 1.2 at least (but for `old_clients`), no compression, no renegotiation (RFC 8996, RFC 7525 §3.3, §3.5).
- A renewed certificate is used without a restart: `ServerTls.context()` looks at the two files at most once a second
  and loads them when they changed. Files that do not load (half written, key of another certificate) leave the old
  context in use and are tried again a second later; the reason is told once.
- Connections that are already open keep the context they began with.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from shared.net.binding import ServerContext, end_point_value

CHECK_SECONDS = 1.0
"""How often the certificate files are looked at, at most."""

_Stamp = tuple[tuple[int, int, int], ...]


class CertificateError(OSError):
    """The certificate or key cannot be read or do not fit together; the text names the files, never their contents."""


class ServerTls:
    """The server's context, reloaded when its files change."""

    def __init__(
        self,
        cert: Path,
        key: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_error: Callable[[str], None] | None = None,
        on_reload: Callable[[], None] | None = None,
        old_clients: bool = False,
    ) -> None:
        """Loads the files now; raises CertificateError when that fails. `on_error` gets why a reload failed.

        `old_clients`: also TLS 1.0 and 1.1 with the ciphers of their time, for devices that nobody can renew. Never for the internet.
        """
        self._old_clients = old_clients
        self._cert = cert
        self._key = key
        self._clock = clock
        self._on_error = on_error
        self._on_reload = on_reload
        self._told = ""
        self._stamp = self._read_stamp()
        self._context = self._load()
        self._next_check = clock() + CHECK_SECONDS

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self._reload_if_changed()
        return self._context

    def _reload_if_changed(self) -> None:
        try:
            stamp = self._read_stamp()
            if stamp == self._stamp:
                return
            context = self._load()
        except CertificateError as error:
            if self._on_error is not None and self._told != str(error):
                self._on_error(str(error))
            self._told = str(error)
            return
        self._context, self._stamp, self._told = context, stamp, ""
        if self._on_reload is not None:
            self._on_reload()

    def _read_stamp(self) -> _Stamp:
        try:
            return tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in (os.stat(self._cert), os.stat(self._key)))
        except OSError as error:
            raise CertificateError(f"cannot read {error.filename}: {error.strerror}") from None

    def _load(self) -> ssl.SSLContext:
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        _harden(context)
        if self._old_clients:
            # TLS 1.0 signs with SHA-1, which OpenSSL takes at level 0 only
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not usable"
            raise CertificateError(f"certificate {self._cert} with key {self._key}: {reason}") from None
        context.end_point = self._end_point()
        context.open_key_log()
        return context

    def _end_point(self) -> bytes | None:
        """The binding of the first certificate of the file: the server's own."""
        text = self._cert.read_text("latin-1")
        start = text.find(ssl.PEM_HEADER)
        end = text.find(ssl.PEM_FOOTER, start)
        if start < 0 or end < 0:
            return None
        return end_point_value(ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)]))


@lru_cache(maxsize=8)
def opportunistic_client_context() -> ssl.SSLContext:
    """For SMTP between strangers: encrypts against the passive listener, verifies nothing (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _harden(context)
    return context


@lru_cache(maxsize=8)
def verifying_client_context(ca_file: Path | None = None, *, common_name: bool = True) -> ssl.SSLContext:
    """Verifies chain and host name against the system's authorities, or against `ca_file` alone when given.

    `common_name`: whether a certificate without alternative names may have the host's name as its subject's.

    Raises CertificateError when `ca_file` cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):
        raise CertificateError(f"cannot use the authorities in {ca_file}") from None
    context.hostname_checks_common_name = common_name
    _harden(context)
    return context


def _harden(context: ssl.SSLContext) -> None:
    # RFC 8996
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 7525 §3.3, §3.5
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _no_password() -> str:
    # without this OpenSSL would ask for the passphrase of an encrypted key on the terminal and hang the start
    raise ValueError("the key is encrypted")
