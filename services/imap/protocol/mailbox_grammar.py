"""One mailbox name among a command's arguments. RFC 3501 §5.1, §9; RFC 9051 §5.1."""

from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.tokens import Refused, Scanner
from shared.wire import mutf7


def parse_mailbox(scanner: Scanner, limits: GrammarLimits) -> str:
    """RFC 3501 §5.1 and §9: mailbox = "INBOX" / astring."""
    octets = scanner.astring()
    if len(octets) > limits.mailbox_octets:
        raise Refused("mailbox name too long", "LIMIT")
    try:
        name = mutf7.decode(octets, utf8=limits.utf8_names)
    except mutf7.InvalidName as error:
        raise Refused(f"not a mailbox name: {error}", "CANNOT") from error
    return "INBOX" if name.upper() == "INBOX" else name
