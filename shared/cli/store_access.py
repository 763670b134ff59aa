"""The running store, as administrator: over the socket and the key of the data directory.

Whoever may read `keys/admin/key` is an administrator; it has mode 0600. A store that is not there is said at once,
one that restarts just now gets WAIT_SECONDS.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import trio

from shared.cli.invocation import CommandFailed, Invocation, StoreAway
from shared.contract.registry import Role
from shared.errors import AlreadyExists, NotFound, StoreError, Unavailable
from shared.observe.log import Level, Logger
from shared.rpc.address import connect_unix, short_socket_path
from shared.rpc.client import RpcClient
from shared.rpc.store_client import StoreClient

__all__ = ["StoreClient", "ask"]

WAIT_SECONDS: Final = 5.0
WORDS: Final[dict[type[StoreError], str]] = {AlreadyExists: "exists already", NotFound: "not found"}
"""Where the error's kind says more than its detail."""
T = TypeVar("T")


def ask(invocation: Invocation, question: Callable[[StoreClient], Awaitable[T]], about: str = "") -> T:
    """Connect, ask, disconnect. Raises StoreAway (exit 3), and CommandFailed (exit 1) that names what it is about."""

    async def session() -> T | CommandFailed:
        # An error is returned and raised below, so that it does not travel in exception groups.
        store = StoreClient(admin_client(invocation.data))
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            try:
                return await question(store)
            except Unavailable:
                return StoreAway(f"the store does not answer ({invocation.data})")
            except StoreError as error:
                return CommandFailed(words_for(error, about))
            finally:
                nursery.cancel_scope.cancel()
        raise AssertionError("the nursery swallowed an answer")

    check_running(invocation.data)
    answer = trio.run(session)
    if isinstance(answer, CommandFailed):
        raise answer
    return answer


def words_for(error: StoreError, about: str) -> str:
    """What the store said, for a person: `account a@b.test: not found (domain b.test)`."""
    words, detail = WORDS.get(type(error), ""), error.detail
    if not words:
        words = detail or error.code
    elif detail and detail not in about and not about.startswith(detail):
        words += f" ({detail})"
    return f"{about}: {words}" if about else words


def admin_client(data: Path) -> RpcClient:
    """A connection with the admin role; not yet connected."""
    return RpcClient(
        connect=lambda: connect_unix(str(data / "run" / "store.sock")),
        role=Role.ADMIN.value,
        read_key=lambda: (data / "keys" / "admin" / "key").read_bytes(),
        worker=f"pillarbox-{os.getpid()}",
        log=Logger("pillarbox", Level.ERROR, as_json=False),
        wait_seconds=WAIT_SECONDS,
    )


def check_running(data: Path) -> None:
    """Raises StoreAway or CommandFailed, at once and in words."""
    try:
        with open(data / "keys" / "admin" / "key", "rb"):
            pass
        with (
            short_socket_path(str(data / "run" / "store.sock")) as path,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe,
        ):
            probe.connect(path)
    except PermissionError:
        raise CommandFailed(f"not allowed to read {data}: run this as the user who started Pillarbox") from None
    except FileNotFoundError:
        if data.is_dir():
            raise StoreAway(f"the store does not run in {data} (start it with: pillarbox up)") from None
        raise StoreAway(
            f"there is no data directory {data}: name it with --data, or start with: pillarbox up"
        ) from None
    except OSError:
        raise StoreAway(f"the store does not run in {data} (start it with: pillarbox up)") from None
