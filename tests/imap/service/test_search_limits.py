"""Limits of searching over a socket, in a process whose limits are low."""

from collections.abc import Iterator

import pytest

from shared.testing.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"PILLARBOX_IMAP__SEARCH_MAILBOXES": "3", "PILLARBOX_IMAP__NESTING": "5"}
    with Stack(tmp_path_factory.mktemp("imap") / "data", services=("imap",), settings=settings) as running:
        yield running


def test_limits(connect):
    client = connect()
    for name in ("a", "b", "c", "d"):
        client.ok(f"CREATE {name}")
    assert client.ok("ESEARCH IN (mailboxes (a b c)) ALL").untagged == ()
    # RFC 7377 §2.4
    assert client.command("ESEARCH IN (mailboxes (a b c d)) ALL").tagged.startswith(b"NO [LIMIT]")
    assert client.command("ESEARCH IN (personal) ALL").tagged.startswith(b"NO [LIMIT]")
    client.ok("SELECT a")
    client.ok("SEARCH NOT NOT NOT NOT ALL")
    assert client.command("SEARCH NOT NOT NOT NOT NOT ALL").tagged.startswith(b"BAD")
    assert client.command("SORT (" + "DATE " * 20 + "SIZE) UTF-8 ALL").tagged.startswith(b"BAD")
    # a new selection has no contexts and no saved result
    client.ok("SEARCH RETURN (UPDATE SAVE) ALL")
    client.ok("SELECT b")
    assert client.command('CANCELUPDATE "t12"').tagged.startswith(b"BAD")
    assert client.ok("FETCH $ FLAGS").untagged == ()
