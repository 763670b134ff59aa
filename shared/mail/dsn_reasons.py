"""Why a message was not delivered, in plain words: what happened, what the sender can do. Pure; the rule is the table below.

The enhanced code of the reply decides (RFC 3463, RFC 7372). Many servers say 5.7.1 to everything that they do not want: there their words
are looked at, too.
"""

import re
from collections.abc import Mapping
from typing import Final

import attrs

from shared.model.language import Language

EN: Final = Language.ENGLISH
KO: Final = Language.KOREAN
Words = tuple[str, str]


@attrs.frozen
class Reason:
    """One class of trouble."""

    codes: tuple[str, ...]
    """Of RFC 3463, without the first digit: ``1.1``, or ``7.`` for all that begin so."""
    words: Mapping[Language, Words]
    says: re.Pattern[str] | None = None
    """The reply must say that, too."""


_UNKNOWN: Final = {
    EN: ("There is no such address.", "Check it for typing mistakes, or ask the recipient for the right one."),
    KO: ("그런 주소가 없습니다.", "주소를 잘못 적지 않았는지 확인하거나 받는 분께 올바른 주소를 물어보십시오."),
}
_AUTHENTIC: Final = {
    EN: (
        "The recipient's server could not make sure that the message comes from your domain (SPF, DKIM, DMARC).",
        "Tell the administrator of this mail system: the DNS records of your domain need a look.",
    ),
    KO: (
        "받는 쪽 서버가 이 메시지가 정말 보내는 도메인에서 왔는지 확인하지 못했습니다(SPF, DKIM, DMARC).",
        "이 메일 시스템의 관리자에게 알려 주십시오. 도메인의 DNS 기록을 살펴보아야 합니다.",
    ),
}
_SECURE: Final = {
    EN: (
        "A secure connection (TLS) to the recipient's server is required, and there was none.",
        "Tell the recipient, whose administrator can mend it, or use another way.",
    ),
    KO: (
        "받는 쪽 서버와 안전한 연결(TLS)이 필요하지만 맺을 수 없었습니다.",
        "받는 분께 알려 받는 쪽 관리자가 고치게 하거나, 다른 방법으로 연락하십시오.",
    ),
}
_FULL: Final = {
    EN: ("The recipient's mailbox is full.", "Try again later, or reach the recipient in another way."),
    KO: ("받는 분의 메일함이 가득 찼습니다.", "나중에 다시 보내거나 다른 방법으로 연락하십시오."),
}
_NO_SERVER: Final = {
    EN: ("The recipient's domain has no mail server that can be reached.", "Check the part behind the @."),
    KO: ("받는 도메인에 연결할 수 있는 메일 서버가 없습니다.", "@ 뒤의 도메인 이름을 확인하십시오."),
}

# From the particular to the general: the first that fits is said.
REASONS: Final = (
    Reason(
        ("1.10",),
        {
            EN: ("This domain takes no mail at all.", "Ask the recipient for another address."),
            KO: ("이 도메인은 메일을 전혀 받지 않습니다.", "받는 분께 다른 주소를 물어보십시오."),
        },
    ),
    Reason(("1.1",), _UNKNOWN),
    # old servers, which give no enhanced code
    Reason(
        ("1.0", "0.0"),
        _UNKNOWN,
        re.compile(
            r"(?i)\b(?:user|mailbox|recipient|address)\b.{0,40}\b(?:unknown|not found|not exist)"
            r"|no such (?:user|mailbox|address)|unknown user"
        ),
    ),
    Reason(("1.0", "0.0"), _FULL, re.compile(r"(?i)over ?quota|quota exceeded|mailbox (?:is )?full")),
    Reason(
        ("1.2",),
        {
            EN: ("There is no such mail domain.", "Check the part of the address behind the @ for typing mistakes."),
            KO: ("그런 메일 도메인이 없습니다.", "주소에서 @ 뒤를 잘못 적지 않았는지 확인하십시오."),
        },
    ),
    Reason(
        ("1.3",),
        {
            EN: ("The address is not written in a way that mail can use.", "Check it for typing mistakes."),
            KO: ("메일에 쓸 수 없는 형식의 주소입니다.", "주소를 잘못 적지 않았는지 확인하십시오."),
        },
    ),
    Reason(
        ("1.6",),
        {
            EN: ("The recipient has moved and left no new address.", "Ask the recipient for the new one."),
            KO: ("받는 분이 새 주소를 남기지 않고 옮겼습니다.", "받는 분께 새 주소를 물어보십시오."),
        },
    ),
    Reason(
        ("2.1",),
        {
            EN: ("The recipient's mailbox is switched off.", "Reach the recipient in another way."),
            KO: ("받는 분의 메일함이 꺼져 있습니다.", "다른 방법으로 연락하십시오."),
        },
    ),
    Reason(("2.2",), _FULL),
    Reason(
        ("2.3",),
        {
            EN: ("The message is too large for the recipient.", "Send it without large attachments."),
            KO: ("받는 분이 받기에는 메시지가 너무 큽니다.", "큰 첨부 파일을 빼고 보내십시오."),
        },
    ),
    Reason(
        ("3.4",),
        {
            EN: ("The message is too large for the recipient's server.", "Send it without large attachments."),
            KO: ("받는 쪽 서버가 받기에는 메시지가 너무 큽니다.", "큰 첨부 파일을 빼고 보내십시오."),
        },
    ),
    Reason(("4.3", "4.4"), _NO_SERVER),
    Reason(
        ("4.6",),
        {
            EN: ("The mail would go round in a circle.", "Tell the administrator of this mail system."),
            KO: ("메일이 서버 사이를 끝없이 맴돌게 됩니다.", "이 메일 시스템의 관리자에게 알려 주십시오."),
        },
    ),
    Reason(
        ("4.7",),
        {
            EN: (
                "The recipient's server could not take the mail for days.",
                "Try again later, or use another way. The last reason is below.",
            ),
            KO: (
                "받는 쪽 서버가 여러 날 동안 메일을 받지 못했습니다.",
                "나중에 다시 보내거나 다른 방법으로 연락하십시오. 마지막 이유는 아래에 있습니다.",
            ),
        },
    ),
    Reason(
        ("4.1", "4.2"),
        {
            EN: ("The recipient's server could not be reached.", "Try again later, or use another way."),
            KO: ("받는 쪽 서버에 연결하지 못했습니다.", "나중에 다시 보내거나 다른 방법으로 연락하십시오."),
        },
    ),
    Reason(
        ("6.7",),
        {
            EN: ("The recipient's server cannot handle international addresses.", "Use an address in plain letters a-z."),
            KO: ("받는 쪽 서버가 국제화된(한글 등) 주소를 다루지 못합니다.", "영문자로 된 주소를 쓰십시오."),
        },
    ),
    Reason(
        ("6.",),
        {
            EN: ("The recipient's server cannot handle this kind of message.", "Send it as plain text, or another way."),
            KO: ("받는 쪽 서버가 이런 종류의 메시지를 다루지 못합니다.", "일반 텍스트로 보내거나 다른 방법을 쓰십시오."),
        },
    ),
    # RFC 7372 §3
    Reason(("7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26"), _AUTHENTIC),
    # RFC 3463 §3.8 and what registered since: encryption needed, REQUIRETLS
    Reason(("7.4", "7.5", "7.10", "7.11", "7.30"), _SECURE),
    Reason(("7.", "0.", "3."), _SECURE, re.compile(r"(?i)\b(?:START)?TLS\b.{0,40}\b(?:required|must)|\brequires?\b.{0,20}\bTLS\b|MTA-STS")),
    Reason(("7.", "0.", "1.0"), _AUTHENTIC, re.compile(r"(?i)\b(?:SPF|DKIM|DMARC)\b|unauthenticated (?:e-?)?mail")),
    Reason(
        ("7.", "0.", "3.", "1.0"),
        {
            EN: (
                "The recipient's server blocks mail from this mail system.",
                "Tell the administrator of this mail system; the words below may name the list and how to get off it.",
            ),
            KO: (
                "받는 쪽 서버가 이 메일 시스템에서 오는 메일을 막고 있습니다.",
                "이 메일 시스템의 관리자에게 알려 주십시오. 아래의 답에 차단 목록과 해제 방법이 있을 수 있습니다.",
            ),
        },
        re.compile(r"(?i)\b(?:block(?:ed|list|ing)?|black-?list(?:ed)?|deny-?list|listed|reputation|banned|RBL|DNSBL|spamhaus|barracuda)\b"),
    ),
    Reason(
        ("7.", "0.", "1.0"),
        {
            EN: (
                "The recipient's server took the message for spam or a virus.",
                "Write it in other words and without links or attachments.",
            ),
            KO: ("받는 쪽 서버가 메시지를 스팸이나 바이러스로 보았습니다.", "내용을 바꾸고 링크나 첨부 파일 없이 보내 보십시오."),
        },
        re.compile(r"(?i)\b(?:spam(?:my)?|junk|virus|malware|phish\w*)\b"),
    ),
    Reason(
        ("7.",),
        {
            EN: ("The recipient's server refused the message by its rules.", "Its words below may say why."),
            KO: ("받는 쪽 서버가 자체 규칙에 따라 메시지를 거절했습니다.", "아래의 답에 이유가 있을 수 있습니다."),
        },
    ),
    Reason(
        ("1.",),
        {
            EN: ("The recipient's server refused the address.", "Check it for typing mistakes; the words below may help."),
            KO: ("받는 쪽 서버가 주소를 거절했습니다.", "주소를 잘못 적지 않았는지 확인하십시오. 아래의 답이 도움이 될 수 있습니다."),
        },
    ),
    Reason(
        ("",),
        {
            EN: ("The recipient's server refused the message.", "Its words below may say why."),
            KO: ("받는 쪽 서버가 메시지를 거절했습니다.", "아래의 답에 이유가 있을 수 있습니다."),
        },
    ),
)

# What a delay says: there is nothing to do about it, so that one sentence is enough.
DELAYS: Final = (
    Reason(("2.2",), _FULL),
    Reason(("4.3", "4.4"), {EN: ("The recipient's server cannot be found now.", ""), KO: ("지금은 받는 쪽 서버를 찾을 수 없습니다.", "")}),
    Reason(("4.",), {EN: ("The recipient's server cannot be reached now.", ""), KO: ("지금은 받는 쪽 서버에 연결되지 않습니다.", "")}),
    Reason(("7.0",), _SECURE, re.compile("MTA-STS")),
    Reason(("7.4", "7.5", "7.10", "7.11", "7.30"), _SECURE),
    Reason(
        ("",),
        {EN: ("The recipient's server does not take the message now.", ""), KO: ("받는 쪽 서버가 지금은 메시지를 받지 않습니다.", "")},
    ),
)


def explain(enhanced: str, text: str, language: Language) -> Words:
    """What happened and what the sender can do; `text`: the server's words."""
    return _first(REASONS, enhanced, text).words[language]


def explain_delay(enhanced: str, text: str, language: Language) -> str:
    """What keeps a message waiting."""
    return _first(DELAYS, enhanced, text).words[language][0]


def _first(reasons: tuple[Reason, ...], enhanced: str, text: str) -> Reason:
    return next(reason for reason in reasons if _fits(reason, enhanced[2:], text))


def _fits(reason: Reason, code: str, text: str) -> bool:
    if not any(code == one or ((not one or one.endswith(".")) and code.startswith(one)) for one in reason.codes):
        return False
    return reason.says is None or reason.says.search(text[:1000]) is not None
