"""What the server says it can do, in each situation; exactly what works, nothing else.

RFC 3501 §7.2.1, RFC 5161 (ENABLE). Before TLS no password is taken (LOGINDISABLED, RFC 3501 §6.2.3), unless the client's network is
exempt by the settings.
"""

import functools
from enum import StrEnum
from typing import Final

from shared.sasl.scram import scram_mechanisms

_ALWAYS: Final = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE")
_AFTER_LOGIN: Final = (
    "IDLE",  # RFC 2177
    "NAMESPACE",  # RFC 2342
    "UIDPLUS",  # RFC 4315
    "UNSELECT",  # RFC 3691
    "CHILDREN",  # RFC 3348
    "SPECIAL-USE",  # RFC 6154
    "CREATE-SPECIAL-USE",  # RFC 6154
    "LIST-EXTENDED",  # RFC 5258
    "LIST-STATUS",  # RFC 5819
    "LIST-MYRIGHTS",  # RFC 8440
    "LIST-METADATA",  # RFC 9590
    "MOVE",  # RFC 6851
    "UNAUTHENTICATE",  # RFC 8437
    "CONDSTORE",  # RFC 7162 §3.1
    "QRESYNC",  # RFC 7162 §3.2
    "UIDONLY",  # RFC 9586
    "STATUS=SIZE",  # RFC 8438
    "ESEARCH",  # RFC 4731
    "SEARCHRES",  # RFC 5182
    "WITHIN",  # RFC 5032
    "SEARCH=FUZZY",  # RFC 6203
    "PARTIAL",  # RFC 9394
    "MULTISEARCH",  # RFC 7377
    "INPROGRESS",  # RFC 9585
    "SORT",  # RFC 5256
    "SORT=DISPLAY",  # RFC 5957
    "ESORT",  # RFC 5267 §3
    "THREAD=ORDEREDSUBJECT",  # RFC 5256
    "THREAD=REFERENCES",  # RFC 5256
    "THREAD=REFS",
    "CONTEXT=SEARCH",  # RFC 5267 §4
    "CONTEXT=SORT",  # RFC 5267 §4
    "I18NLEVEL=1",  # RFC 5255 §4.5
    "OBJECTID",  # RFC 8474
    "SAVEDATE",  # RFC 8514
    "ACL",  # RFC 4314
    "RIGHTS=kxte",  # RFC 4314 §5.1.1
    "METADATA",  # RFC 5464
    "QUOTA",  # RFC 9208
    "QUOTA=RES-STORAGE",  # RFC 9208 §5.1
    "QUOTA=RES-MESSAGE",  # RFC 9208 §5.2
    "QUOTASET",  # RFC 9208 §4.1.3
    "MULTIAPPEND",  # RFC 3502
    "CATENATE",  # RFC 4469
    "REPLACE",  # RFC 8508
    "UTF8=ACCEPT",  # RFC 6855
    "BINARY",  # RFC 3516
    "PREVIEW",  # RFC 8970
    "NOTIFY",  # RFC 5465
)


class Extension(StrEnum):
    """What a client can turn on for its session (RFC 5161); the value is its name on the wire."""

    CONDSTORE = "CONDSTORE"  # RFC 7162 §3.1
    QRESYNC = "QRESYNC"  # RFC 7162 §3.2
    IMAP4REV2 = "IMAP4rev2"  # RFC 9051 §6.3.1
    UTF8 = "UTF8=ACCEPT"  # RFC 6855 §3
    UIDONLY = "UIDONLY"  # RFC 9586 §3


IMPLIED: Final[dict[Extension, frozenset[Extension]]] = {
    # RFC 7162 §3.2.3: whoever enables QRESYNC has CONDSTORE too
    Extension.QRESYNC: frozenset({Extension.CONDSTORE}),
}
"""What is turned on along with an extension."""


def find_extension(name: str) -> Extension | None:
    """The extension that ENABLE names, in any case; None: unknown, to be passed over (RFC 5161 §3.1)."""
    wanted = name.upper()
    return next((extension for extension in Extension if extension.value.upper() == wanted), None)


@functools.lru_cache(maxsize=64)
def capabilities(
    *,
    logged_in: bool,
    tls: bool,
    starttls: bool,
    passwords: bool,
    message_limit: int,
    append_limit: int,
    binding: bool = False,
    compressed: bool = False,
) -> tuple[str, ...]:
    """``starttls``: the listener offers it. ``passwords``: one may log in now. ``binding``: this connection has a channel binding.

    ``compressed``: it is already. ``message_limit``: messages that one command works on.
    """
    names = list(_ALWAYS)
    if logged_in:
        names.extend(_AFTER_LOGIN)
        names.append(f"MESSAGELIMIT={message_limit}")  # RFC 9738
        names.append(f"APPENDLIMIT={append_limit}")  # RFC 7889
        if not compressed:
            names.append("COMPRESS=DEFLATE")  # RFC 4978; after login only: it costs memory
        return tuple(names)
    names.append("IDLE")
    if starttls and not tls:
        names.append("STARTTLS")
    if passwords:
        names.extend(f"AUTH={name}" for name in mechanisms(binding=binding))
    else:
        names.append("LOGINDISABLED")
    return tuple(names)


def mechanisms(*, binding: bool) -> tuple[str, ...]:
    """SASL mechanisms where one may log in, the best first."""
    return (*scram_mechanisms(binding=binding), "PLAIN")
