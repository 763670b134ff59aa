"""What MAIL and the header ask for becomes wishes with times; a hold has its limits."""

from __future__ import annotations

import pytest

from services.smtp_in.protocol import replies
from services.smtp_in.protocol.commands import Mail
from services.smtp_in.protocol.replies import Reply
from services.smtp_in.protocol.way import Asked
from services.smtp_in.transaction import Client, Transaction
from services.smtp_in.way import HoldLimit, wishes_of
from shared.contract.wishes_types import NO_WISHES, ByMode, TlsWish, Wishes
from shared.testing import trio_test

NOW = 1000.0


@pytest.mark.parametrize(
    ("asked", "hold_seconds", "tls_optional", "wishes"),
    [
        (Asked(), 0.0, False, NO_WISHES),
        (Asked(), 0.0, True, Wishes(TlsWish.OPTIONAL)),
        # RFC 8689 §4.1: the parameter goes before the field
        (Asked(require_tls=True), 0.0, True, Wishes(TlsWish.REQUIRED)),
        (Asked(), 30.0, False, Wishes(held_until=1030.0)),
        (Asked(hold_seconds=60), 0.0, False, Wishes(held_until=1060.0)),
        (Asked(hold_seconds=60), 90.0, False, Wishes(held_until=1090.0)),
        (Asked(hold_until=5000.0), 90.0, False, Wishes(held_until=5000.0)),
        (Asked(by_seconds=60, by_mode="R"), 0.0, False, Wishes(deliver_by=1060.0, by_mode=ByMode.RETURN)),
        (Asked(by_seconds=-5, by_mode="N", by_trace=True), 0.0, False, Wishes(TlsWish.ANY, 0.0, 995.0, ByMode.NOTIFY, True)),
        (Asked(hold_seconds=60, by_seconds=60, by_mode="R"), 0.0, False, Wishes(TlsWish.ANY, 1060.0, 1120.0, ByMode.RETURN)),
    ],
)
def test_wishes(asked: Asked, hold_seconds: float, tls_optional: bool, wishes: Wishes) -> None:
    assert wishes_of(asked, NOW, hold_seconds=hold_seconds, tls_optional=tls_optional) == wishes


@pytest.mark.parametrize(
    ("until", "reply"),
    [
        (None, None),
        (NOW, replies.HELD_UNTIL_PAST),
        (NOW + 1, None),
        (NOW + 3600, None),
        (NOW + 3601, replies.HELD_TOO_LONG),
    ],
)
def test_a_hold_has_its_limits(until: float | None, reply: Reply | None) -> None:
    async def scenario() -> None:
        transaction = Transaction("t", Client("192.0.2.1", submission=True), Mail(None, asked=Asked(hold_until=until)))
        assert await HoldLimit(lambda: NOW, 3600).on_mail(transaction) is reply

    trio_test(scenario)()
