"""What travels of the keys that sign mail, and of the DNS records that go with them."""

import attrs


@attrs.frozen
class SigningKey:
    """A DKIM key (RFC 6376 §3.6). ``private_key`` is PKCS #8 in DER; it is for smtp_out alone."""

    selector: str
    algorithm: str
    """``rsa-sha256`` or ``ed25519-sha256``"""
    private_key: bytes = attrs.field(repr=False)


@attrs.frozen
class DnsRecord:
    """A record for the owner of a domain to publish."""

    name: str
    type: str
    value: str
    """Of a TXT record the text as one piece, however long."""
    purpose: str
    """In words, for the owner."""
