"""Where things are in the data directory. One place, so that services, supervisor, tests and containers agree."""

from pathlib import Path

import attrs

from shared.config.schema import Settings

SERVICES = ("store", "smtp_in", "smtp_out", "imap", "pop3")
"""In the order in which they start; they stop in the reverse."""


@attrs.frozen
class DataPaths:
    """All below one directory, which is 0700 and holds everything."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> "DataPaths":
        return cls(Path(settings.data_dir))

    @property
    def socket(self) -> Path:
        return self.root / "run" / "store.sock"

    def local_socket(self, name: str) -> Path:
        """A socket for other programs of the machine; an absolute path stays what it is."""
        return self.root / "run" / name

    @property
    def store(self) -> Path:
        """Database, packs and uploads; no other service needs it."""
        return self.root / "store"

    @property
    def store_keys(self) -> Path:
        """Keys that never leave the store (grants)."""
        return self.root / "keys" / "store"

    def service_key(self, role: str) -> Path:
        return self.root / "keys" / role / "key"

    def kept(self, service: str) -> Path:
        """What an edge keeps over restarts and could do without: caches."""
        return self.root / service

    def spool(self, service: str) -> Path:
        return self.root / "spool" / service

    def certificate(self, settings: Settings) -> Path:
        return Path(settings.tls.certificate) if settings.tls.certificate else self.root / "tls" / "cert.pem"

    def private_key(self, settings: Settings) -> Path:
        return Path(settings.tls.private_key) if settings.tls.private_key else self.root / "tls" / "key.pem"
