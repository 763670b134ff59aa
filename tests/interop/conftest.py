"""A store, imap and pop3 for the tests of a module; an account of its own for each test."""

import itertools

import pytest

from shared.testing.clients import Login
from shared.testing.dovecot import Dovecot
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("interop") / "data", services=("imap", "pop3")) as running:
        yield running


@pytest.fixture(scope="module")
def mail_stack(tmp_path_factory):
    """With smtp_in, for senders; bob@example.test has an account, 밥@ is another name of it."""
    directory = tmp_path_factory.mktemp("senders") / "data"
    settings = {"PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8", "PILLARBOX_SERVER__HOSTNAME": "localhost"}
    with Stack(directory, services=("smtp_in", "imap"), settings=settings) as running:
        running.add_account("bob@example.test")
        running.add_alias("밥@example.test", "bob@example.test")
        yield running


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where clients that come from elsewhere are kept, for all processes of the run."""
    return tmp_path_factory.getbasetemp().parent / "cache"


@pytest.fixture
def login(stack, tmp_path):
    address = f"user{next(_numbers)}@example.test"
    stack.add_account(address)
    home = tmp_path / "home"
    home.mkdir()
    return Login(address, PASSWORD, home, stack.certificate)


@pytest.fixture
def old():
    """A Dovecot whose mail moves in."""
    with Dovecot() as server:
        yield server


@pytest.fixture
def client(stack, login):
    """A bare client of the account, to see what the server has."""
    with ImapClient(stack.port("imap")) as client:
        yield client.login(login.address, login.password)
