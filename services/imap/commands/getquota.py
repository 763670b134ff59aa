"""GETQUOTA, GETQUOTAROOT and SETQUOTA, RFC 9208 §4.1. A quota root is an account, called by its address.

One sees one's own; whoever has another's mailbox open learns its root's name and no figures. SETQUOTA is for the addresses in
``auth.administrators``.
"""

from collections.abc import Mapping
from typing import Final

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, MailboxArguments
from services.imap.protocol.quota_grammar import QuotaArguments, build_quota, build_quota_root
from services.imap.protocol.responses import Reply, build_no, build_ok
from shared.contract.sharing_types import Quota

STORAGE: Final = "STORAGE"
MESSAGE: Final = "MESSAGE"
UNIT: Final = 1024
"""RFC 9208 §5.1: STORAGE is in units of 1024 octets."""


def quota_line(quota: Quota) -> bytes:
    """RFC 9208 §4.2.1: resources without a limit are not named."""
    resources = []
    if quota.most_octets is not None:
        resources.append((STORAGE, -(-quota.octets // UNIT), quota.most_octets // UNIT))
    if quota.most_messages is not None:
        resources.append((MESSAGE, quota.messages, quota.most_messages))
    return build_quota(quota.address, resources)


async def handle_getquota(context: Context, command: Command) -> Reply:
    root = arguments_of(command, QuotaArguments).root
    context.client.write(quota_line(await context.store.sharing.quota_root(context.grant, root)))
    return build_ok("GETQUOTA completed")


async def handle_getquotaroot(context: Context, command: Command) -> Reply:
    name = arguments_of(command, MailboxArguments).mailbox
    quota = await context.store.sharing.quota(context.grant, name)
    context.client.write(build_quota_root(name, (quota.address,), utf8=context.utf8_names))
    if quota.address == context.login.address:
        context.client.write(quota_line(quota))
    return build_ok("GETQUOTAROOT completed")


async def handle_setquota(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, QuotaArguments)
    limits: Mapping[str, int] = dict(arguments.limits)
    if limits.keys() - {STORAGE, MESSAGE}:
        return build_no("There is no such resource", "CANNOT")
    storage = limits.get(STORAGE)
    # RFC 9208 §4.1.3: limits that are not listed are discarded
    quota = await context.store.sharing.set_quota(
        context.grant, arguments.root, limits.get(MESSAGE), None if storage is None else storage * UNIT
    )
    context.client.write(quota_line(quota))
    return build_ok("SETQUOTA completed")
