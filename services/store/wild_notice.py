"""The mail that tells an account's owner of a client that ran wild, in English and Korean, with the command that undoes it."""

import shlex
from datetime import UTC, datetime

from services.store.domain.wild import RanWild
from services.store.notice import build_message

SUBJECT = "Many messages were deleted at once / 많은 메일이 한꺼번에 삭제되었습니다"
_BODY = """\
A mail program has deleted {messages} of {of} messages in {mailbox} of {address} within a minute (since {since} UTC).

If that was you, there is nothing to do.
If it was not, stop that program, or change your password: somebody may know it.
{english}

    {command}

----

메일 프로그램이 1분 안에 {address} 계정의 {mailbox} 편지함에서 메일 {of}통 중 {messages}통을 삭제했습니다({since} UTC부터).

직접 한 일이라면 아무것도 하지 않으셔도 됩니다.
직접 한 일이 아니라면 그 프로그램을 멈추거나 비밀번호를 바꾸십시오. 다른 사람이 비밀번호를 알고 있을 수 있습니다.
{korean}

    {command}
"""
_UNDO = (
    "For {days} days your administrator can bring them back; with --dry-run at the end the command only shows what it would do:",
    "{days}일 동안 관리자가 다음 명령으로 되돌릴 수 있습니다. 끝에 --dry-run을 붙이면 할 일을 보여 주기만 합니다.",
)
_RESTORE = ("Your administrator can bring them back from a backup:", "관리자가 백업에서 다음 명령으로 되돌릴 수 있습니다.")


def undo_command(address: str, mailbox: str, since: float) -> str:
    """To the whole minute before it began."""
    minute = datetime.fromtimestamp(since // 60 * 60, UTC)
    return f'pillarbox undo {shlex.quote(address)} --to "{minute:%Y-%m-%d %H:%M}Z" --mailbox {shlex.quote(mailbox)}'


def build_wild_notice(
    address: str, wild: RanWild, days: float, *, hostname: str, seconds: float, unique: str
) -> bytes:
    """``days``: that the history reaches back; 0: there is none."""
    mailbox = "".join(c if c.isprintable() else "?" for c in wild.deleted.mailbox)
    english, korean = _UNDO if days else _RESTORE
    command = (
        undo_command(address, mailbox, wild.since)
        if days
        else f"pillarbox restore DIR --account {shlex.quote(address)} --mailbox {shlex.quote(mailbox)}"
    )
    text = _BODY.format(
        messages=wild.messages,
        of=wild.of,
        mailbox=mailbox,
        address=address,
        since=f"{datetime.fromtimestamp(wild.since, UTC):%Y-%m-%d %H:%M}",
        english=english.format(days=f"{days:g}"),
        korean=korean.format(days=f"{days:g}"),
        command=command,
    )
    return build_message(address, SUBJECT, text, hostname=hostname, seconds=seconds, message_id=f"{unique}.deleted")
