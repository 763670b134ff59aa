"""What accounts and domains hold and may hold."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam as b

from services.store.sql.prepared import Prepared
from services.store.sql.schema import account, domain, mailbox, message
from shared.model.flags import SystemFlag

_a = account.c
_d = domain.c
_zero: sa.ColumnElement[int] = sa.literal_column("0")

DOMAIN_OF: Final = Prepared(sa.select(_a.domain_id).where(_a.id == b("account")), "account")
DOMAIN_ID: Final = Prepared(sa.select(_d.id).where(_d.name == b("name"), _d.alias_of.is_(None)), "name")
ADD_USAGE: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(messages=_a.messages + b("more_messages"), octets=_a.octets + b("more_octets")),
    "more_messages", "more_octets", "account",
)  # fmt: skip
ADD_DOMAIN_USAGE: Final = Prepared(
    sa.update(domain)
    .where(_d.id == b("domain"))
    .values(messages=_d.messages + b("more_messages"), octets=_d.octets + b("more_octets")),
    "more_messages", "more_octets", "domain",
)  # fmt: skip

_usage = (_a.address, _a.messages, _a.octets, _a.quota_messages, _a.quota_octets)
_root: sa.ColumnElement[str] = sa.literal_column("'@'") + _d.name
_domain_usage = (_root, _d.messages, _d.octets, _d.quota_messages, _d.quota_octets)
USAGE: Final = Prepared(sa.select(*_usage).where(_a.id == b("account")), "account")
DOMAIN_USAGE: Final = Prepared(sa.select(*_domain_usage).where(_d.id == b("domain")), "domain")
USAGE_OF_BOTH: Final = Prepared(
    sa.select(*_usage, *_domain_usage, _d.id)
    .join_from(account, domain, _d.id == _a.domain_id)
    .where(_a.id == b("account")),
    "account",
)
"""An account's, then its domain's, and the domain."""
USAGES: Final = Prepared(
    sa.select(*_usage).where(_a.address > b("after")).order_by(_a.address).limit(b("limit")), "after", "limit"
)
DOMAIN_USAGES: Final = Prepared(sa.select(*_domain_usage).where(_d.alias_of.is_(None)).order_by(_d.name))
LIMITED: Final = Prepared(
    sa.select(_a.id, *_usage).where(sa.or_(_a.quota_messages.is_not(None), _a.quota_octets.is_not(None)))
)
LIMITED_DOMAINS: Final = Prepared(
    sa.select(_d.id, *_domain_usage).where(sa.or_(_d.quota_messages.is_not(None), _d.quota_octets.is_not(None)))
)
SET_QUOTA: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(quota_messages=b("most_messages"), quota_octets=b("most_octets")),
    "most_messages", "most_octets", "account",
)  # fmt: skip
SET_DOMAIN_QUOTA: Final = Prepared(
    sa.update(domain)
    .where(_d.id == b("domain"))
    .values(quota_messages=b("most_messages"), quota_octets=b("most_octets")),
    "most_messages", "most_octets", "domain",
)  # fmt: skip

WARNED: Final = Prepared(sa.select(_a.quota_warned).where(_a.id == b("account")), "account")
WARNED_DOMAIN: Final = Prepared(sa.select(_d.quota_warned).where(_d.id == b("domain")), "domain")
ALL_WARNED: Final = Prepared(sa.select(_a.id, _a.quota_warned).where(_a.quota_warned > _zero))
ALL_WARNED_DOMAINS: Final = Prepared(sa.select(_d.id, _d.quota_warned).where(_d.quota_warned > _zero))
SET_WARNED: Final = Prepared(
    sa.update(account).where(_a.id == b("account")).values(quota_warned=b("percent")), "percent", "account"
)
SET_WARNED_DOMAIN: Final = Prepared(
    sa.update(domain).where(_d.id == b("domain")).values(quota_warned=b("percent")), "percent", "domain"
)

# the truth: the rows of the messages themselves
_flags = message.c.flags
_unseen = sa.case((_flags.op("&")(sa.literal_column(str(SystemFlag.SEEN.value))) == _zero, 1), else_=0)
_deleted = sa.case((_flags.op("&")(sa.literal_column(str(SystemFlag.DELETED.value))) != _zero, 1), else_=0)
COUNTED_MAILBOXES: Final = Prepared(
    sa.select(
        mailbox.c.id,
        sa.func.count(message.c.uid),
        sa.func.coalesce(sa.func.sum(_unseen), _zero),
        sa.func.coalesce(sa.func.sum(_deleted), _zero),
        sa.func.coalesce(sa.func.sum(message.c.octets), _zero),
    )
    .join_from(mailbox, message, message.c.mailbox_id == mailbox.c.id)
    .where(mailbox.c.account_id == b("account"))
    .group_by(mailbox.c.id),
    "account",
)
"""Of an account's mailboxes that hold messages: messages, unseen, deleted, octets."""
KEPT_MAILBOXES: Final = Prepared(
    sa.select(mailbox.c.id, mailbox.c.messages, mailbox.c.unseen, mailbox.c.deleted, mailbox.c.octets).where(
        mailbox.c.account_id == b("account")
    ),
    "account",
)
SET_MAILBOX: Final = Prepared(
    sa.update(mailbox)
    .where(mailbox.c.id == b("mailbox"))
    .values(messages=b("new_messages"), unseen=b("new_unseen"), deleted=b("new_deleted"), octets=b("new_octets")),
    "new_messages", "new_unseen", "new_deleted", "new_octets", "mailbox",
)  # fmt: skip
SET_USAGE: Final = Prepared(
    sa.update(account)
    .where(_a.id == b("account"))
    .values(mailboxes=b("new_mailboxes"), messages=b("new_messages"), octets=b("new_octets")),
    "new_mailboxes", "new_messages", "new_octets", "account",
)  # fmt: skip
COUNTED_DOMAIN: Final = Prepared(
    sa.select(
        sa.func.coalesce(sa.func.sum(_a.messages), _zero), sa.func.coalesce(sa.func.sum(_a.octets), _zero)
    ).where(_a.domain_id == b("domain")),
    "domain",
)
SET_DOMAIN_USAGE: Final = Prepared(
    sa.update(domain).where(_d.id == b("domain")).values(messages=b("new_messages"), octets=b("new_octets")),
    "new_messages", "new_octets", "domain",
)  # fmt: skip
