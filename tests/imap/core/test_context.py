"""A session's state: after UNAUTHENTICATE nothing of the login is left (RFC 8437 §4.1)."""

from types import SimpleNamespace

import trio

from services.imap.context import AccountCounter, Context, Login
from services.imap.protocol.capability import Extension
from services.imap.protocol.state import State
from services.imap.view import Columns
from shared.model.ids import AccountId, Grant, MailboxId
from shared.testing import trio_test

ACCOUNT = AccountId(7)
KEPT = {"shared", "store", "limits", "client", "changed", "failed_logins"}
"""What belongs to the connection, and the event that wakes it."""


class FakeView(Columns):
    lost = None

    def attach(self, wake, seat):
        pass

    def detach(self, wake):
        pass


def make_context():
    limits = SimpleNamespace(before_login="before", after_login="after", unauthenticated_seconds=60.0)
    client = SimpleNamespace(limits=None, input_deadline=None, peer_ip="::1")
    client.set_limits = lambda given: setattr(client, "limits", given)
    views = SimpleNamespace(release=lambda view: None)
    shared = SimpleNamespace(store=None, limits=limits, accounts=AccountCounter(1), views=views)
    shared.passwords_without_tls = lambda ip: True
    return Context(shared, client)


@trio_test
async def test_leaving_is_as_a_new_connection():
    context = make_context()
    fresh = {name: value for name, value in vars(make_context()).items() if name not in KEPT}
    assert context.shared.accounts.acquire(ACCOUNT)
    context.enter(Login(ACCOUNT, "a@example.test", Grant(b"g")))
    assert context.client.limits == "after"
    assert context.client.input_deadline > trio.current_time() + 1e6
    context.enable(Extension.QRESYNC)
    context.open_mailbox(FakeView(MailboxId(1), 1), read_only=True, first_recent_uid=1)
    assert context.state is State.SELECTED
    context.leave()
    # whatever a command adds to the context must be reset there
    assert {name: value for name, value in vars(context).items() if name not in KEPT} == fresh
    assert context.client.limits == "before"
    assert context.client.input_deadline <= trio.current_time() + 60
    assert context.shared.accounts.acquire(ACCOUNT)
