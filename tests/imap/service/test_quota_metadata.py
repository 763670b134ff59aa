"""QUOTA and METADATA over real sockets. RFC 9208, RFC 5464."""

import trio

from shared.contract.registry import Role
from shared.testing.imap_client import ImapClient
from shared.testing.stack import PASSWORD, Stack, open_client

MESSAGE = b"Subject: x\r\n\r\n" + b"y" * 3000 + b"\r\n"


def set_quota(stack, address, messages, octets):
    async def main():
        async with open_client(stack.data_dir, Role.ADMIN) as store:
            await store.admin.quota_set(address, messages, octets)

    trio.run(main)


def test_quota(stack, account, connect):
    client = connect()
    root = account.encode()
    assert client.append(b"INBOX", MESSAGE).ok
    assert client.ok("GETQUOTAROOT INBOX").untagged == (b"* QUOTAROOT INBOX %b" % root, b"* QUOTA %b ()" % root)
    set_quota(stack, account, 3, 10_240)
    quota = b"* QUOTA %b (STORAGE 3 10 MESSAGE 1 3)" % root
    # RFC 9208 §4.1.2: the mailbox need not be there
    assert client.ok("GETQUOTAROOT not/there").untagged == (b"* QUOTAROOT not/there %b" % root, quota)
    assert client.ok(f"GETQUOTA {account}").untagged == (quota,)
    for other in ('""', "nobody@example.test"):
        assert client.command(f"GETQUOTA {other}").tagged.startswith(b"NO [NONEXISTENT]")
    assert client.command(f"SETQUOTA {account} (STORAGE 100)").tagged.startswith(b"NO [NOPERM]")
    assert client.command(f"SETQUOTA {account} (X 100)").tagged.startswith(b"NO [CANNOT]")
    assert client.append(b"Sent", MESSAGE).ok
    assert client.append(b"INBOX", MESSAGE).ok
    # RFC 9208 §4.3.1
    assert client.append(b"INBOX", MESSAGE).tagged.startswith(b"NO [OVERQUOTA]")
    client.ok("SELECT INBOX")
    assert client.command("COPY 1 Sent").tagged.startswith(b"NO [OVERQUOTA]")
    # RFC 6851 §4.1: a move needs no room
    assert client.ok("MOVE 1 Sent").ok
    client.ok("STORE 1 +FLAGS (\\Deleted)")
    client.ok("EXPUNGE")
    assert client.ok(f"GETQUOTA {account}").untagged == (b"* QUOTA %b (STORAGE 6 10 MESSAGE 2 3)" % root,)
    set_quota(stack, account, None, 7000)
    assert client.append(b"INBOX", MESSAGE).tagged.startswith(b"NO [OVERQUOTA]")
    assert client.append(b"INBOX", b"a: b\r\n\r\n").ok
    client.ok("CREATE big")
    client.ok("DELETE Sent")
    assert client.append(b"big", MESSAGE).ok


def test_the_quota_of_a_domain(tmp_path):
    """One's own limit is what is left of the domain's; the domain's figures are for administrators."""
    with Stack(tmp_path / "data", services=("imap",), settings={"PILLARBOX_AUTH__ADMINISTRATORS": "boss@example.test"}) as own:
        for address in ("boss@example.test", "user@example.test"):
            own.add_account(address)
        with (
            ImapClient(own.port("imap")).login("boss@example.test", PASSWORD) as boss,
            ImapClient(own.port("imap")).login("user@example.test", PASSWORD) as user,
        ):
            assert boss.append(b"INBOX", MESSAGE).ok
            assert boss.ok("SETQUOTA @example.test (STORAGE 8)").untagged == (b"* QUOTA @example.test (STORAGE 3 8)",)
            assert user.ok("GETQUOTAROOT INBOX").untagged == (
                b"* QUOTAROOT INBOX user@example.test", b"* QUOTA user@example.test (STORAGE 0 5)",
            )  # fmt: skip
            assert user.append(b"INBOX", MESSAGE).ok
            assert user.append(b"INBOX", MESSAGE).tagged.startswith(b"NO [OVERQUOTA]")
            user.ok("SELECT INBOX")
            assert user.command("COPY 1 Sent").tagged.startswith(b"NO [OVERQUOTA]")
            for command in ("GETQUOTA @example.test", "SETQUOTA @example.test (STORAGE 100)"):
                assert user.command(command).tagged.startswith(b"NO [NO")
            assert boss.ok("GETQUOTA @example.test").untagged == (b"* QUOTA @example.test (STORAGE 6 8)",)
            # what was set for the account, not what it meets
            assert boss.ok("GETQUOTA user@example.test").untagged == (b"* QUOTA user@example.test ()",)


def test_what_guests_file_counts_for_the_owner(stack, account, connect):
    client = connect()
    other = "filer-for-" + account
    stack.add_account(other)
    client.ok(f"SETACL INBOX {other} lri")
    set_quota(stack, account, 1, None)
    theirs = f"shared/{account}/INBOX"
    with ImapClient(stack.port("imap")).login(other, PASSWORD) as guest:
        assert guest.append(theirs.encode(), MESSAGE).ok
        assert guest.append(theirs.encode(), MESSAGE).tagged.startswith(b"NO [OVERQUOTA]")
        # the name of the root, not its figures
        assert guest.ok(f"GETQUOTAROOT {theirs}").untagged == (b"* QUOTAROOT %b %b" % (theirs.encode(), account.encode()),)
        guest.ok(f"SELECT {theirs}")
        assert guest.ok("COPY 1 INBOX").ok


def test_metadata(connect):
    client, other = connect(), connect()
    client.ok('SETMETADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss "FROM boss")')
    answer = client.ok("GETMETADATA INBOX (DEPTH 1) (/private/filters/values)")
    assert answer.untagged == (
        b'* METADATA INBOX (/private/filters/values/boss "FROM boss" /private/filters/values/small "SMALLER 5000")',
    )
    assert client.ok("GETMETADATA (DEPTH 1) INBOX /private").untagged == ()
    assert len(client.ok("GETMETADATA (DEPTH infinity) INBOX /private").untagged) == 1
    long = "z" * 2199
    client.ok(f'SETMETADATA INBOX (/shared/comment "{long}" /private/comment "My own comment")')
    answer = client.ok("GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment /private/comment)")
    assert answer.untagged == (b'* METADATA INBOX (/private/comment "My own comment")',)
    assert answer.tagged.startswith(b"OK [METADATA LONGENTRIES 2199]")
    # another session of the account sees it
    assert other.ok("GETMETADATA INBOX /private/comment").untagged == answer.untagged
    client.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert client.ok("GETMETADATA INBOX /private/comment").untagged == ()
    assert client.command("GETMETADATA nothing /private/comment").tagged.startswith(b"NO [NONEXISTENT]")
    # limits; RFC 5464 §4.3: nothing of a command that fails is done
    huge = b"{20000+}\r\n" + b"h" * 20000
    answer = client.command(b"SETMETADATA INBOX (/private/a " + huge + b' /private/b "x")')
    assert answer.tagged.startswith(b"NO [METADATA MAXSIZE 16384]")
    assert client.ok("GETMETADATA INBOX /private/b").untagged == ()
    for first in (0, 50):
        entries = " ".join(f'/private/n{number} "1"' for number in range(first, first + 50))
        answer = client.command(f"SETMETADATA INBOX ({entries})")
    assert answer.tagged.startswith(b"NO [METADATA TOOMANY]")
    # annotations follow their mailbox, and go with it
    client.ok("CREATE box")
    client.ok('SETMETADATA box (/shared/comment "stays")')
    client.ok("RENAME box crate")
    assert client.ok("GETMETADATA crate /shared/comment").untagged == (b'* METADATA crate (/shared/comment "stays")',)
    client.ok("DELETE crate")
    client.ok("CREATE crate")
    assert client.ok("GETMETADATA crate /shared/comment").untagged == ()


def test_metadata_of_the_server(account, connect):
    client = connect()
    assert client.ok('GETMETADATA "" /shared/admin').untagged == (
        b'* METADATA "" (/shared/admin "mailto:postmaster@example.test")',
    )
    for entry in ("/shared/admin", "/shared/comment"):
        assert client.command(f'SETMETADATA "" ({entry} "x")').tagged.startswith(b"NO [NOPERM]")
    client.ok(b'SETMETADATA "" (/private/vendor/x {3+}\r\na\r\n)')
    assert client.ok('GETMETADATA "" (DEPTH infinity) /private').untagged == (
        b'* METADATA "" (/private/vendor/x {3}\r\na\r\n)',
    )
