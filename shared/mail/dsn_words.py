"""What a delivery report says to people, in each language. Tables only; `dsn` puts them together, `dsn_reasons` has the reasons."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from shared.mail.date import format_date
from shared.model.language import Language


def _korean_date(seconds: int, offset_minutes: int) -> str:
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(minutes=offset_minutes)
    sign, offset = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    return f"{at.year}년 {at.month}월 {at.day}일 {at:%H:%M} ({sign}{offset // 60:02}{offset % 60:02})"


@attrs.frozen
class DsnWords:
    """One language. The keys of the tables are RFC 3464's actions."""

    from_name: str
    subjects: Mapping[str, str]
    openings: Mapping[str, str]
    """The line above the recipients."""
    closings: Mapping[str, str]
    """Below them, where there is something to say."""
    said: str
    """`host` and `text`; each of its lines is wrapped by itself."""
    tried_until: str
    """`date`."""
    from_system: str
    """`host`."""
    header_attached: str
    message_attached: str
    date: Callable[[int, int], str]
    width: int
    """Characters of a line: those of Hangul are twice as wide."""


WORDS: Final[Mapping[Language, DsnWords]] = {
    Language.ENGLISH: DsnWords(
        from_name="Mail Delivery System",
        subjects={
            "failed": "Undelivered mail returned to sender",
            "delayed": "Mail delivery delayed",
            "delivered": "Mail delivered",
            "relayed": "Mail relayed",
            "expanded": "Mail delivered to a list",
        },
        openings={
            "failed": "Your message could not be delivered to:",
            "delayed": "Your message has not been delivered yet to:",
            "delivered": "Your message was delivered to:",
            "relayed": "Your message was passed on, to a server that does not confirm delivery, for:",
            "expanded": "Your message was delivered and sent on to the members of:",
        },
        closings={
            "failed": "It will not be tried again.",
            "delayed": "You need not do anything: delivery is tried again by itself.",
        },
        said="{host} said: {text}",
        tried_until="It is tried until {date}.",
        from_system="This report comes from the mail system of {host}.",
        header_attached="The header of your message is attached.",
        message_attached="The message is attached.",
        date=format_date,
        width=76,
    ),
    Language.KOREAN: DsnWords(
        from_name="메일 배달 시스템",
        subjects={
            "failed": "배달하지 못한 메일을 돌려드립니다",
            "delayed": "메일 배달이 늦어지고 있습니다",
            "delivered": "메일이 배달되었습니다",
            "relayed": "메일을 다음 서버로 넘겼습니다",
            "expanded": "메일이 목록으로 배달되었습니다",
        },
        openings={
            "failed": "보내신 메시지를 다음 주소로 배달하지 못했습니다:",
            "delayed": "보내신 메시지가 다음 주소로 아직 배달되지 않았습니다:",
            "delivered": "보내신 메시지가 다음 주소로 배달되었습니다:",
            "relayed": "보내신 메시지를 배달 확인을 하지 않는 서버로 넘겼습니다. 받는 주소:",
            "expanded": "보내신 메시지가 배달되어 다음 목록의 구성원에게 전달되었습니다:",
        },
        closings={
            "failed": "다시 시도하지 않습니다.",
            "delayed": "따로 하실 일은 없습니다. 자동으로 다시 시도합니다.",
        },
        said="{host} 서버의 답:\n{text}",
        tried_until="{date}까지 시도합니다.",
        from_system="이 알림은 {host} 메일 시스템이 보냈습니다.",
        header_attached="보내신 메시지의 머리글을 첨부합니다.",
        message_attached="보내신 메시지를 첨부합니다.",
        date=_korean_date,
        width=40,
    ),
}
