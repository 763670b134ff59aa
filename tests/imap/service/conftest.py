"""One store and one imap process for all tests of a module; an account of its own for each test."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("imap") / "data", services=("imap",)) as running:
        yield running


@pytest.fixture
def account(stack: Stack) -> str:
    """The address of a fresh account."""
    address = f"user{next(_numbers)}@example.test"
    stack.add_account(address)
    return address


@pytest.fixture
def connect(stack: Stack, account: str) -> Iterator[Callable[[], ImapClient]]:
    """Makes logged-in clients of the account."""
    clients: list[ImapClient] = []

    def make() -> ImapClient:
        clients.append(ImapClient(stack.port("imap")).login(account, PASSWORD))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
