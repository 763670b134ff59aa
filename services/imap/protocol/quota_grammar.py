"""GETQUOTA, GETQUOTAROOT, SETQUOTA and their responses: RFC 9208 §4 and §8. GETQUOTAROOT takes a mailbox only."""

from collections.abc import Sequence

import attrs

from services.imap.protocol.encode import build_astring, build_mailbox
from services.imap.protocol.limits import GrammarLimits
from services.imap.protocol.tokens import MAX_NUMBER64, Refused, Scanner, SyntaxFault

MAX_ROOT_OCTETS = 400
MAX_RESOURCES = 20


@attrs.frozen
class QuotaArguments:
    """GETQUOTA and SETQUOTA. ``limits``: resources in upper case with their new limits."""

    root: str
    limits: tuple[tuple[str, int], ...] = ()


def _root(scanner: Scanner) -> str:
    octets = scanner.astring()
    if len(octets) > MAX_ROOT_OCTETS:
        raise Refused("quota root too long", "LIMIT")
    # what is not UTF-8 is no root of ours
    return octets.decode("utf-8", "replace")


def parse_get_quota(scanner: Scanner, limits: GrammarLimits) -> QuotaArguments:
    """RFC 9208 §8: getquota = "GETQUOTA" SP quota-root-name."""
    scanner.space()
    root = _root(scanner)
    scanner.end()
    return QuotaArguments(root)


def parse_set_quota(scanner: Scanner, limits: GrammarLimits) -> QuotaArguments:
    """RFC 9208 §8: setquota = "SETQUOTA" SP quota-root-name SP setquota-list."""
    scanner.space()
    root = _root(scanner)
    scanner.space()
    scanner.expect(b"(")
    resources: list[tuple[str, int]] = []
    scanner.skip_spaces()
    while not scanner.take(b")"):
        name = scanner.word()
        scanner.space()
        resources.append((name, scanner.number(MAX_NUMBER64)))
        if len(resources) > MAX_RESOURCES:
            raise SyntaxFault("too many resources")
        scanner.skip_spaces()
    scanner.end()
    return QuotaArguments(root, tuple(resources))


def build_quota_root(name: str, roots: Sequence[str], *, utf8: bool) -> bytes:
    """RFC 9208 §4.2.2."""
    words = b"".join(b" " + build_astring(root.encode()) for root in roots)
    return b"* QUOTAROOT %b%b\r\n" % (build_mailbox(name, utf8=utf8), words)


def build_quota(root: str, resources: Sequence[tuple[str, int, int]]) -> bytes:
    """RFC 9208 §4.2.1: name, usage, limit of each resource that has a limit."""
    listed = " ".join(f"{name} {usage} {limit}" for name, usage, limit in resources)
    return b"* QUOTA %b (%b)\r\n" % (build_astring(root.encode()), listed.encode())
