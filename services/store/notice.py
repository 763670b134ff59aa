"""The mail that tells an account's owner of a daily limit, in English and Korean.

The standard library's email is imported with the first one that is built: most stores never build any.
"""

from shared.contract.sending_types import SendingLimit

SUBJECT = "Your daily sending limit is reached / 하루 발송 한도에 도달했습니다"

_ENGLISH = {
    SendingLimit.MESSAGES: "messages to recipients elsewhere",
    SendingLimit.NEW_RECIPIENTS: "recipients that it had not sent to before",
}
_KOREAN = {
    SendingLimit.MESSAGES: "외부 수신자에게 보내는 메일 {}건",
    SendingLimit.NEW_RECIPIENTS: "처음 메일을 보내는 수신자 {}명",
}
_BODY = """\
{address} has reached its limit for today: {most} {english}.
What goes beyond it is refused until the next day begins (00:00 UTC).

If that was you, try again tomorrow, or ask your administrator for a higher limit.
If it was not, somebody may know your password: change it now, and tell your administrator.

----

{address} 계정이 오늘의 한도({korean})에 도달했습니다.
이를 넘는 발송은 다음 날(UTC 00:00)까지 거부됩니다.

직접 보낸 것이라면 내일 다시 시도하거나 관리자에게 한도를 높여 달라고 요청하십시오.
직접 보낸 것이 아니라면 다른 사람이 비밀번호를 알고 있을 수 있습니다. 지금 비밀번호를 바꾸고 관리자에게 알리십시오.
"""


def build_notice(address: str, limit: SendingLimit, most: int, *, hostname: str, seconds: float, unique: str) -> bytes:
    """The whole message with CRLF line ends; ``unique`` makes its Message-ID."""
    text = _BODY.format(address=address, most=most, english=_ENGLISH[limit], korean=_KOREAN[limit].format(most))
    return build_message(address, SUBJECT, text, hostname=hostname, seconds=seconds, unique=f"{unique}.limit")


def build_message(address: str, subject: str, text: str, *, hostname: str, seconds: float, unique: str) -> bytes:
    """A mail of our own, whole, with CRLF line ends; ``unique`` makes its Message-ID."""
    from email.headerregistry import Address
    from email.message import EmailMessage
    from email.policy import SMTP, SMTPUTF8

    from shared.mail.date import format_date

    message = EmailMessage(policy=SMTP if address.isascii() else SMTPUTF8)
    local, _, domain = address.rpartition("@")
    message["From"] = Address("Pillarbox", "postmaster", hostname)
    message["To"] = Address("", local, domain)
    message["Subject"] = subject
    message["Date"] = format_date(int(seconds), 0)
    message["Message-ID"] = f"<{unique}@{hostname}>"
    # RFC 3834 §5
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="base64")
    return message.as_bytes()
