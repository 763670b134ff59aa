"""A store and an imap process for the tests of a module; an account of its own for each test."""

import itertools

import pytest

from shared.testing.clients import Login
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("interop") / "data", services=("imap",)) as running:
        yield running


@pytest.fixture
def login(stack, tmp_path):
    address = f"user{next(_numbers)}@example.test"
    stack.add_account(address)
    home = tmp_path / "home"
    home.mkdir()
    return Login(address, PASSWORD, home, stack.certificate)


@pytest.fixture
def client(stack, login):
    """A bare client of the account, to see what the server has."""
    with ImapClient(stack.port("imap")) as client:
        yield client.login(login.address, login.password)
