"""Bytes and a charset's name to text. Never raises, and never lets a message choose an arbitrary Python codec.

Only the names below are decoded by their codec: Python's registry also holds codecs that decompress, unescape or take quadratic
time. The table follows what senders mean rather than what they say (as browsers do): EUC-KR and KS C 5601 are read as CP949,
GB2312 and GBK as GB18030, Shift_JIS as CP932, ISO 8859-1 as windows-1252.

RFC 2046 §4.1.2, RFC 3629 (UTF-8), RFC 7103 §7.6 (8-bit text without a charset), RFC 1557 (ISO-2022-KR).
"""

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]").search
_UTF8: Final = "utf-8"
_GUESS_NEVER: Final = frozenset({_UTF8, "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32"})
"""No header is written in these without saying so, but they take many octets for theirs."""
_CODECS: Final[dict[str, str]] = {
    **dict.fromkeys(("utf-8", "utf8", "utf_8", "unicode-1-1-utf-8", "utf-8-sig", "utf8mb4"), _UTF8),
    **dict.fromkeys(("us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "us", "646", "ascii-7bit"), _UTF8),
    **dict.fromkeys(("utf-7", "utf7", "unicode-1-1-utf-7"), "utf-7"),
    **dict.fromkeys(("utf-16", "utf16", "unicode", "ucs-2", "iso-10646-ucs-2"), "utf-16"),
    **dict.fromkeys(("utf-16le", "utf-16-le"), "utf-16-le"),
    **dict.fromkeys(("utf-16be", "utf-16-be"), "utf-16-be"),
    **dict.fromkeys(("utf-32", "utf32"), "utf-32"),
    **dict.fromkeys(
        (
            *(
                "euc-kr",
                "euckr",
                "euc_kr",
                "korean",
                "ks_c_5601-1987",
                "ks_c_5601",
                "ks_c_5601-1989",
                "ksc5601",
                "ksc_5601",
            ),
            *("ks-c-5601-1987", "ksx1001", "ks_x_1001", "cp949", "949", "uhc", "ms949", "windows-949", "x-windows-949"),
            *("iso-ir-149", "csksc56011987", "cseuckr"),
        ),
        "cp949",
    ),
    **dict.fromkeys(("iso-2022-kr", "iso2022-kr", "iso2022kr", "csiso2022kr"), "iso2022_kr"),
    **dict.fromkeys(("johab", "cp1361", "ms1361"), "johab"),
    **dict.fromkeys(
        ("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "cp932", "windows-31j", "ms932", "csshiftjis"), "cp932"
    ),
    **dict.fromkeys(("euc-jp", "eucjp", "x-euc-jp", "ujis", "euc_jp"), "euc_jp"),
    **dict.fromkeys(("iso-2022-jp", "iso2022-jp", "iso-2022-jp-ms", "cp50220", "csiso2022jp"), "iso2022_jp_ext"),
    **dict.fromkeys(("iso-2022-jp-1", "iso-2022-jp-2"), "iso2022_jp_2"),
    **dict.fromkeys(
        ("gb2312", "gbk", "gb18030", "x-gbk", "cp936", "euc-cn", "gb_2312-80", "chinese", "windows-936"), "gb18030"
    ),
    **dict.fromkeys(("hz-gb-2312", "hz"), "hz"),
    **dict.fromkeys(("big5", "big-5", "cn-big5", "x-x-big5", "cp950"), "cp950"),
    **dict.fromkeys(("big5-hkscs", "big5hkscs"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "iso88591"), "cp1252"),
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16)},
    **{f"iso8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16)},
    **{f"iso_8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16)},
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "iso_8859-9", "latin5", "windows-1254", "cp1254"), "cp1254"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "logical", "visual"), "iso8859_8"),
    **dict.fromkeys(("latin2", "latin-2"), "iso8859_2"),
    **dict.fromkeys(("latin9", "latin-9"), "iso8859_15"),
    **{f"windows-{n}": f"cp{n}" for n in (1250, 1251, 1252, 1253, 1255, 1256, 1257, 1258, 874)},
    **{
        f"cp{n}": f"cp{n}"
        for n in (437, 850, 852, 855, 858, 862, 866, 874, 1250, 1251, 1252, 1253, 1255, 1256, 1257, 1258)
    },
    **{f"cp-{n}": f"cp{n}" for n in (1250, 1251, 1252)},
    **dict.fromkeys(("ibm437", "ibm-437"), "cp437"),
    **dict.fromkeys(("ibm850", "ibm-850"), "cp850"),
    **dict.fromkeys(("ibm852", "ibm-852"), "cp852"),
    **dict.fromkeys(("ibm866", "ibm-866"), "cp866"),
    **dict.fromkeys(("tis-620", "tis620"), "cp874"),
    **dict.fromkeys(("koi8-r", "koi8", "koi8r"), "koi8_r"),
    **dict.fromkeys(("koi8-u", "koi8u"), "koi8_u"),
    **dict.fromkeys(("macintosh", "mac", "x-mac-roman", "mac-roman"), "mac_roman"),
    **dict.fromkeys(("viscii", "tcvn"), "cp1258"),
}


def codec_name(charset: str) -> str | None:
    """The codec for a charset's name in any case; None where it is unknown."""
    return _CODECS.get(charset.strip(" \t\"'").lower())


def _without_surrogates(text: str) -> str:
    """Text that UTF-8 can hold: the UTF-7 decoder lets lone surrogates through, and no string with one can be stored."""
    return text.encode("utf-8", "replace").decode("utf-8") if _SURROGATE(text) else text


def decode_unlabelled(data: bytes, guess: str = "") -> str:
    """UTF-8 where the bytes are that, else the guessed charset where they are that, else ISO 8859-1 (which takes any byte)."""
    try:
        return data.decode(_UTF8)
    except UnicodeDecodeError:
        pass
    codec = codec_name(guess) if guess else None
    if codec is not None and codec not in _GUESS_NEVER:
        try:
            return _without_surrogates(data.decode(codec))
        except (UnicodeError, ValueError):
            pass
    return data.decode("latin-1")


def decode_text(data: bytes, charset: str) -> str:
    """Text by the charset's name; what cannot be decoded becomes U+FFFD. Unknown or empty names: as `decode_unlabelled`."""
    codec = codec_name(charset) if charset else None
    if codec is None:
        return decode_unlabelled(data)
    if codec == _UTF8:
        try:
            return data.decode(_UTF8)
        except UnicodeDecodeError:
            # Labelled US-ASCII and 8-bit after all: RFC 7103 §7.6
            return data.decode(_UTF8, "replace") if "8" in charset else data.decode("latin-1")
    try:
        return _without_surrogates(data.decode(codec, "replace"))
    except (UnicodeError, ValueError):  # some multi-byte decoders raise in spite of "replace"
        return decode_unlabelled(data)
