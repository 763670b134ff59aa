"""CREATE, RFC 3501 §6.3.3, RFC 6154 §3 (USE), RFC 8474 §4.1 (MAILBOXID)."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, CreateArguments
from services.imap.protocol.responses import Reply, build_no, build_ok, build_old_name, mailbox_object_id

_SPECIAL_USES = {name.lower(): name for name in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
"""RFC 6154 §2, without \\All and \\Flagged: those are virtual mailboxes, which this server has none of."""


async def handle_create(context: Context, command: Command) -> Reply:
    arguments = arguments_of(command, CreateArguments)
    special_use = ""
    if arguments.special_use:
        special_use = _SPECIAL_USES.get(arguments.special_use.lower(), "")
        if not special_use:
            # RFC 6154 §3: USEATTR
            return build_no("This special use is not supported", "USEATTR")
    made = await context.store.mailboxes.create(context.grant, arguments.mailbox, special_use)
    if context.rev2 and made.name != arguments.mailbox:
        # RFC 9051 §6.3.4: the name was normalized (NFC, INBOX in capitals)
        context.client.write(build_old_name(made.name, arguments.mailbox, utf8=context.utf8_names))
    # RFC 8474 §4.1
    return build_ok("CREATE completed", f"MAILBOXID ({mailbox_object_id(made.mailbox_id)})")
