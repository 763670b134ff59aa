"""Two devices with real clients that remember what they have: neither empties the other's maildrop."""

import re
from pathlib import Path

import pytest

from shared.contract.registry import Role
from shared.model.pop3 import Dele
from shared.rpc.store_client import StoreClient
from shared.testing.clients import Login
from shared.testing.javascript import run_script
from shared.testing.mail_samples import korean_message, plain_message
from shared.testing.pop3 import Pop3Stack
from shared.testing.pop3_clients import getmail, mpop
from shared.testing.stack import PASSWORD

SCRIPT = Path(__file__).with_name("pop3_session.js")
FIRST = [plain_message(f"{n}@example.test") for n in range(1, 5)] + [korean_message("five@example.test")]
LATER = [plain_message("later@example.test")]


def held(stack: Pop3Stack, address: str) -> int:
    """Messages in INBOX, as IMAP sees it."""

    async def count(store: StoreClient) -> int:
        grant = (await store.auth.login(address, PASSWORD, "127.0.0.1")).grant
        return (await store.mailboxes.status(grant, "INBOX")).messages

    return stack.administer(count, Role.IMAP)


def ids(messages: list[bytes]) -> list[bytes]:
    """Message-IDs, sorted; each message has one."""
    return sorted(found[1] for message in messages if (found := re.search(rb"(?m)^Message-ID: (<.*>)\r$", message)))


def device(stack: Pop3Stack, address: str, name: str, home: Path) -> Login:
    return Login(address, stack.device(address, name), home / name)


def test_getmail_and_mpop_clean_up_their_own(stack: Pop3Stack, tmp_path: Path) -> None:
    address, port = stack.account(*FIRST), stack.port("pop3s")
    stack.set_dele(address, Dele.HIDE)
    phone, laptop = (device(stack, address, name, tmp_path) for name in ("phone", "laptop"))
    # getmail writes headers anew: its messages are known by their ids
    assert ids(getmail(port, phone, delete=True)) == ids(FIRST)
    assert sorted(mpop(port, laptop, delete=False)) == sorted(FIRST)
    stack.deliver(address, LATER)
    # each takes what is new and nothing else
    assert ids(getmail(port, phone, delete=True)) == ids(FIRST + LATER)
    assert sorted(mpop(port, laptop, delete=True)) == sorted(FIRST + LATER)
    assert sorted(mpop(port, laptop, delete=True)) == sorted(FIRST + LATER)
    assert held(stack, address) == len(FIRST + LATER)
    assert stack.count(address) == len(FIRST + LATER)
    for login in (phone, laptop):
        with stack.wire().log_in(address, login.password) as wire:
            assert wire.command("STAT") == b"+OK 0 0"


@pytest.mark.parametrize("auth", ["user", "plain", "scram-sha-256"])
def test_mpop_fetches_another_mailbox(stack: Pop3Stack, tmp_path: Path, auth: str) -> None:
    address = stack.account(*FIRST)
    stack.set_dele(address, Dele.TRASH)
    with stack.logged_in(address) as wire:
        for command in ("DELE 1", "DELE 5", "QUIT"):
            assert wire.command(command).startswith(b"+OK")
    login = Login(f"{address}+Trash", PASSWORD, tmp_path)
    assert sorted(mpop(stack.port("pop3s"), login, delete=True, auth=auth)) == sorted([FIRST[0], FIRST[4]])
    assert held(stack, address) == len(FIRST) - 2


@pytest.mark.parametrize("dele", list(Dele))
def test_node_pop3_reads_and_deletes(
    stack: Pop3Stack, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, dele: Dele
) -> None:
    address = stack.account(*FIRST)
    stack.set_dele(address, dele)
    phone = device(stack, address, "phone", tmp_path)
    cache = tmp_path_factory.getbasetemp().parent / "cache"
    seen = run_script(SCRIPT, cache, tmp_path, port=stack.port("pop3s"), user=address, password=phone.password)
    assert seen["sizes"] == [len(message) for message in FIRST]
    # it takes octets for UTF-8, whatever they are: the Korean one cannot be compared
    assert [message.encode().rstrip() for message in seen["messages"][:4]] == [message.rstrip() for message in FIRST[:4]]
    assert b"Message-ID: <five@example.test>" in seen["messages"][4].encode()
    assert FIRST[0].startswith(seen["top"].encode().rstrip())
    assert seen["left"] == seen["ids"][1:]
    assert held(stack, address) == len(FIRST) - (dele is not Dele.HIDE)
