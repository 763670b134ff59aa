"""SRS, the Sender Rewriting Scheme: envelope senders of mail that is sent on, so that SPF at the next server finds our domain.

    SRS0=hash=tt=domain=local@ours       a sender elsewhere, rewritten by us
    SRS1=hash=hop=rest@ours              one that was SRS0 or SRS1 of another server (hop): that server gets the bounce and knows the rest

``hash`` is 40 bits of HMAC-SHA-256 over what follows, compared in constant time, in base 32; ``tt`` is the day modulo 1024 in base 32.
Hash and day are the same in either case, and the hash is made of the lower-case form, so that a server that changes case on the
way breaks nothing.
Who can make an address without the key can guess one in 2**40; what was made is good for VALID_DAYS. An address made by the same key,
from the same sender, on the same day is always the same one.

Pure: key and day come in. There is no RFC; "The Sender Rewriting Scheme", M. Wong, 2004, is what the common programs follow.
"""

import hmac
import re
from base64 import b32encode
from hashlib import sha256
from typing import Final

from shared.mail.mailbox_name import domain_to_a_labels, quote_local, unquote_local

VALID_DAYS: Final = 21
MAX_LOCAL_OCTETS: Final = 192
"""Of what we make and take: twice what RFC 5321 §4.5.3.1.1 allows to people, because it holds their addresses."""
_HASH_CHARACTERS: Final = 8
_DAYS: Final = 1024
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_TAG: Final = re.compile(r'"?srs[01][-+=]', re.IGNORECASE)
# the sender's local part may hold anything
_SRS0: Final = re.compile(r"srs0[-+=](?P<hash>[^=]+)=(?P<day>[a-z2-7]{2})=(?P<domain>[^=@]+)=(?P<local>.+)", re.IGNORECASE | re.DOTALL)
_SRS1: Final = re.compile(r"srs1[-+=](?P<hash>[^=]+)=(?P<hop>[^=@]+)=(?P<rest>[-+=].+)", re.IGNORECASE | re.DOTALL)


def is_srs(address: str) -> bool:
    """Whether an address looks like one of these, ours or not."""
    return _TAG.match(address) is not None


def forward_sender(sender: str, domain: str, key: bytes, day: int) -> str | None:
    """The sender under which mail of ``sender`` is sent on by ``domain``; None where none can be made (the address is too long)."""
    local, at, sender_domain = sender.rpartition("@")
    try:
        text, sender_domain = unquote_local(local), domain_to_a_labels(sender_domain)
    except ValueError:
        return None
    if not at or not text or not sender_domain or "=" in sender_domain:
        return None
    made = _wrap_again(text, sender_domain, key) if is_srs(text) else None
    if made is None:
        rest = f"{_day_text(day)}={sender_domain}={text}"
        made = f"SRS0={_hash(rest, key)}={rest}"
    spelled = quote_local(made)
    return f"{spelled}@{domain}" if len(spelled.encode()) <= MAX_LOCAL_OCTETS else None


def _wrap_again(text: str, sender_domain: str, key: bytes) -> str | None:
    """SRS0 of another server becomes SRS1, SRS1 stays one with our hash: it never grows. None: it only looks like SRS."""
    second = _SRS1.fullmatch(text)
    if second is not None:
        rest = f"{second['hop'].lower()}={second['rest']}"
    elif _SRS0.fullmatch(text) is not None:
        rest = f"{sender_domain}={text[4:]}"
    else:
        return None
    return f"SRS1={_hash(rest, key)}={rest}"


def return_sender(address: str, key: bytes, day: int) -> str | None:
    """For whom an address was made; None where we did not make it, or too long ago."""
    try:
        text = unquote_local(address.rpartition("@")[0])
    except ValueError:
        return None
    first = _SRS0.fullmatch(text)
    if first is not None:
        rest = text[text.index("=", 5) + 1 :]
        if not _is_hash(first["hash"], rest, key) or not _is_recent(first["day"], day):
            return None
        return f"{quote_local(first['local'])}@{first['domain'].lower()}"
    second = _SRS1.fullmatch(text)
    if second is None or not _is_hash(second["hash"], f"{second['hop']}={second['rest']}", key):
        return None
    return f"{quote_local('SRS0' + second['rest'])}@{second['hop'].lower()}"


def _hash(rest: str, key: bytes) -> str:
    digest = hmac.new(key, b"srs " + rest.lower().encode("utf-8", "surrogatepass"), sha256).digest()
    return b32encode(digest)[:_HASH_CHARACTERS].decode().lower()


def _is_hash(given: str, rest: str, key: bytes) -> bool:
    return hmac.compare_digest(given.lower().encode("utf-8", "surrogatepass"), _hash(rest, key).encode())


def _day_text(day: int) -> str:
    return _BASE32[day % _DAYS // 32] + _BASE32[day % 32]


def _is_recent(text: str, day: int) -> bool:
    made = _BASE32.index(text[0].lower()) * 32 + _BASE32.index(text[1].lower())
    return (day - made) % _DAYS <= VALID_DAYS
