"""What accounts send on one day, and whom they have sent to before."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared, PreparedIn
from services.store.sql.schema import account, known_recipient, sending

_s = sending.c
_k = known_recipient.c

STATE: Final = Prepared(
    sa.select(
        account.c.address, _s.day, _s.messages, _s.new_recipients, _s.told_day, _s.own_messages, _s.own_new_recipients
    )
    .select_from(account.outerjoin(sending, _s.account_id == account.c.id))
    .where(account.c.id == b("account")),
    "account",
)
"""One row per account that is there; NULLs where it has not sent anything."""
INSERT: Final = Prepared(
    sending.insert(), "account_id", "day", "messages", "new_recipients", "known", "told_day"
)
SET_SENT: Final = Prepared(
    sa.update(sending)
    .where(_s.account_id == b("account"))
    .values(
        day=b("new_day"), messages=b("new_messages"), new_recipients=b("new_new"), known=_s.known + b("more_known")
    ),
    "new_day", "new_messages", "new_new", "more_known", "account",
)  # fmt: skip
SET_TOLD: Final = Prepared(
    sa.update(sending).where(_s.account_id == b("account")).values(told_day=b("new_told")), "new_told", "account"
)
SET_OWN: Final = Prepared(
    sa.update(sending)
    .where(_s.account_id == b("account"))
    .values(own_messages=b("most_messages"), own_new_recipients=b("most_new")),
    "most_messages", "most_new", "account",
)  # fmt: skip
FEWER_KNOWN: Final = Prepared(
    sa.update(sending).where(_s.account_id == b("account")).values(known=_s.known - b("fewer")), "fewer", "account"
)
KNOWN_COUNT: Final = Prepared(sa.select(_s.known).where(_s.account_id == b("account")), "account")
KNOWN_ABOVE: Final = Prepared(sa.select(_s.account_id).where(_s.known > b("most")), "most")

KNOWN: Final = PreparedIn(
    lambda addresses: (
        sa.select(_k.address, _k.used_day).where(_k.account_id == b("account"), _k.address.in_(addresses))
    ),
    "account",
)
INSERT_KNOWN: Final = Prepared(known_recipient.insert(), "account_id", "address", "used_day")
USED: Final = Prepared(
    sa.update(known_recipient)
    .where(_k.account_id == b("of_account"), _k.address == b("of_address"))
    .values(used_day=b("new_day")),
    "new_day", "of_account", "of_address",
)  # fmt: skip
UNUSED: Final = Prepared(
    sa.select(_k.account_id, _k.address).where(_k.used_day < b("before")).order_by(_k.used_day).limit(b("limit")),
    "before", "limit",
)  # fmt: skip
OLDEST: Final = Prepared(
    sa.select(_k.account_id, _k.address)
    .where(_k.account_id == b("account"))
    .order_by(_k.used_day, _k.address)
    .limit(b("limit")),
    "account", "limit",
)  # fmt: skip
DELETE_KNOWN: Final = Prepared(
    sa.delete(known_recipient).where(_k.account_id == b("account"), _k.address == b("address")), "account", "address"
)
DELETE_ALL_KNOWN: Final = Prepared(sa.delete(known_recipient).where(_k.account_id == b("account")), "account")
DELETE: Final = Prepared(sa.delete(sending).where(_s.account_id == b("account")), "account")
