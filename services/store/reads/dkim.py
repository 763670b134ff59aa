"""Keys that sign, and the records that a domain's owner publishes."""

from services.store.domain.addresses import InvalidAddressError, normalize_domain
from services.store.domain.dkim import KeyState, key_records
from services.store.readers import Snapshot
from services.store.reads.relays import may_leave_by_relay
from services.store.sql.statements import directory, dkim
from shared.contract.dkim_types import DnsRecord, SigningKey
from shared.errors import BadRequest, NotFound


def signing_keys(snapshot: Snapshot, domain: str) -> tuple[SigningKey, ...]:
    """None for a domain that is not ours."""
    return tuple(SigningKey(*row) for row in dkim.SIGNING.all(snapshot.cursor, domain.lower(), KeyState.SIGNING))


def domain_records(snapshot: Snapshot, name: str, hostname: str, *, relayed: bool) -> tuple[DnsRecord, ...]:
    """All that the owner of a domain publishes. ``relayed``: the settings send through a provider's server. Raises NotFound, BadRequest."""
    try:
        domain = normalize_domain(name)
    except InvalidAddressError as error:
        raise BadRequest(str(error)) from None
    row = directory.DOMAIN.one(snapshot.cursor, domain)
    if row is None:
        raise NotFound(f"domain {domain}")
    relayed = relayed or may_leave_by_relay(snapshot.cursor, domain)
    spf = "who may send as you (SPF)"
    if relayed:
        spf += "; put your provider's include: in front of ~all"
    return (
        DnsRecord(domain, "MX", f"10 {hostname}.", "where your mail is delivered"),
        DnsRecord(domain, "TXT", "v=spf1 mx ~all" if relayed else "v=spf1 mx -all", spf),
        *key_records(dkim.OF_DOMAIN.all(snapshot.cursor, int(row[0])), domain, *KeyState),
        DnsRecord(
            f"_dmarc.{domain}",
            "TXT",
            f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}",
            "what others do with mail that only claims to be yours (DMARC)",
        ),
    )
