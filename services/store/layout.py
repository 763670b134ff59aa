"""The data directory: made at first start, locked while a store runs on it.

Directories are 0700, files 0600. What is there already is left as it is: a key or certificate that an operator put in place stays.
"""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.store.packs.paths import sync_directory
from shared.config.paths import DataPaths
from shared.config.schema import Settings
from shared.contract.registry import Role
from shared.rpc.handshake import KEY_OCTETS

GRANT_KEY: Final = "grants"
DEVICE_KEY: Final = "devices"
FORWARDING_KEY: Final = "srs"
LOCK: Final = "lock"
DATABASE: Final = "pillarbox.db"
RESTORING: Final = ".restoring"
"""In the store's folder while a restore is under way: no store starts on half of one."""
ASIDE: Final = ".before-restore-"
"""In the names of what a restore put aside."""
_SPOOLING: Final = ("smtp_in", "smtp_out", "imap")


class DataDirectoryInUseError(OSError):
    """Another store runs on this data directory."""


class UnfinishedRestoreError(OSError):
    """A restore into this data directory was not finished."""


def database_path(paths: DataPaths) -> Path:
    return paths.store / DATABASE


def packs_path(paths: DataPaths) -> Path:
    return paths.store / "packs"


def uploads_path(paths: DataPaths) -> Path:
    return paths.store / "uploads"


def search_path(paths: DataPaths) -> Path:
    """Of the text search index; made by whoever writes there first."""
    return paths.store / "search"


def verified_path(paths: DataPaths) -> Path:
    """What the last verification found."""
    return paths.store / "verified.json"


def backup_tested_path(paths: DataPaths) -> Path:
    """What the last test of a backup found."""
    return paths.store / "backup-tested.json"


def make_directories(paths: DataPaths) -> None:
    """All directories of the layout, on the disk when this returns. Raises OSError."""
    wanted = [
        paths.root,
        paths.socket.parent,
        paths.store,
        packs_path(paths),
        uploads_path(paths),
        paths.store_keys.parent,
        paths.store_keys,
        *(paths.service_key(role).parent for role in Role),
        paths.root / "tls",
        paths.root / "spool",
        *(paths.spool(service) for service in _SPOOLING),
    ]
    for directory in wanted:
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=directory == paths.root)
    # a name that a power cut takes away would take everything below it along, however well that was flushed; whoever made it
    for parent in {directory.parent for directory in wanted} - {paths.root.parent}:
        sync_directory(parent)
    with suppress(PermissionError):
        sync_directory(paths.root.parent)


def check_restored(paths: DataPaths) -> None:
    """Raises UnfinishedRestoreError."""
    if (paths.store / RESTORING).exists():
        raise UnfinishedRestoreError(f"a restore into {paths.root} was not finished: run pillarbox restore again")


def lock_directory(paths: DataPaths) -> int:
    """Take the data directory for this process; the descriptor that holds it. Raises DataDirectoryInUseError."""
    fd = os.open(paths.store / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise DataDirectoryInUseError(f"another store runs on {paths.root}") from None
    return fd


def write_new(path: Path, data: bytes) -> None:
    """A new file, whole or not at all, on the disk when this returns. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)


def read_key(path: Path) -> bytes:
    """A key of 32 random octets, made when it is not there. Raises OSError, also for a file of another length."""
    if not path.exists():
        write_new(path, secrets.token_bytes(KEY_OCTETS))
    key = path.read_bytes()
    if len(key) != KEY_OCTETS:
        raise OSError(f"{path} is not a key of {KEY_OCTETS} octets")
    return key


def service_keys(paths: DataPaths) -> dict[Role, bytes]:
    """The keys that the services prove in the handshake."""
    return {role: read_key(paths.service_key(role)) for role in Role}


def grant_key(paths: DataPaths) -> bytes:
    return read_key(paths.store_keys / GRANT_KEY)


def device_key(paths: DataPaths) -> bytes:
    """Of the digests of app passwords: without it none of them is right any more."""
    return read_key(paths.store_keys / DEVICE_KEY)


def forwarding_key(paths: DataPaths) -> bytes:
    """Of the senders that SRS makes; one that is lost makes the bounces under way undeliverable, nothing else."""
    return read_key(paths.store_keys / FORWARDING_KEY)


def make_certificate(paths: DataPaths, settings: Settings, hostname: str) -> bool:
    """A self-signed certificate, unless there is one or the settings name another; whether one was made."""
    certificate, key = paths.root / "tls" / "cert.pem", paths.root / "tls" / "key.pem"
    if settings.tls.certificate or settings.tls.private_key or (certificate.exists() and key.exists()):
        return False
    # cryptography is large and needed once in the life of a data directory
    from services.store.certificate import self_signed

    certificate_pem, key_pem = self_signed(hostname)
    write_new(key, key_pem)
    write_new(certificate, certificate_pem)
    return True
