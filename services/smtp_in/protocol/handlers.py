"""What each command does to a connection, once the table of `state` allows it: one function per verb, and the table of them.

Law: a handler that raises Refused has changed nothing. It sends, asks the driver, emits events, and says in which mode the next bytes are
read; nothing else of the machine is its business.

RFC 5321 §4.1.1; RFC 1870 §6.1; RFC 3030 §2; RFC 3207 §4; RFC 4954 §4; RFC 2033 §4; Postfix, XCLIENT_README.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from services.smtp_in.protocol import parse, replies, way
from services.smtp_in.protocol.commands import Body, Verb
from services.smtp_in.protocol.content import ChunkedContent, DataContent
from services.smtp_in.protocol.events import (
    ContentStarted,
    MailRequested,
    RcptRequested,
    StartTls,
    XClientRequested,
    ehlo_reply,
)
from services.smtp_in.protocol.parse import Refused
from services.smtp_in.protocol.state import CHUNK_REFUSALS, Mode, State
from services.smtp_in.protocol.xclient import parse_xclient

if TYPE_CHECKING:
    from services.smtp_in.protocol.connection import Connection


def handle_ehlo(connection: Connection, argument: bytes, then: State) -> None:
    # RFC 2033 §4.1: LHLO in the place of HELO and EHLO, which are refused
    if connection.profile.lmtp:
        raise Refused(replies.SAY_LHLO)
    _greet(connection, argument, then)


def handle_lhlo(connection: Connection, argument: bytes, then: State) -> None:
    if not connection.profile.lmtp:
        raise Refused(replies.NOT_IMPLEMENTED)
    _greet(connection, argument, then)


def _greet(connection: Connection, argument: bytes, then: State) -> None:
    connection.helo = parse.parse_host(argument)
    connection.esmtp = True
    connection.begin(then)
    starttls = connection.profile.starttls and not connection.tls
    offer = ehlo_reply(
        connection.profile.hostname,
        connection.limits,
        starttls=starttls,
        mechanisms=connection.offered(),
        xclient=connection.profile.xclient,
        more=tuple(way.keywords(connection.profile.way, tls=connection.tls)),
    )
    connection.send(offer)


def handle_helo(connection: Connection, argument: bytes, then: State) -> None:
    if connection.profile.lmtp:
        raise Refused(replies.SAY_LHLO)
    connection.helo = parse.parse_host(argument)
    connection.esmtp = False
    connection.begin(then)
    connection.send(replies.helo(connection.profile.hostname))


def handle_mail(connection: Connection, argument: bytes, then: State) -> None:
    if connection.profile.submission and not connection.authenticated:
        raise Refused(replies.AUTH_REQUIRED if connection.offered() else replies.NEED_TLS)
    mail = parse.parse_mail(argument, connection.limits)
    refusal = way.objection(mail.asked, connection.profile.way, tls=connection.tls)
    if refusal is not None:
        raise Refused(refusal)
    # RFC 1870 §6.1
    if mail.size is not None and mail.size > connection.limits.message_octets:
        raise Refused(replies.MESSAGE_TOO_BIG)
    if connection.messages >= connection.limits.messages:
        connection.close(replies.TOO_MANY_MESSAGES, "messages")
        return
    connection.ask(MailRequested(mail))


def handle_rcpt(connection: Connection, argument: bytes, then: State) -> None:
    mail = connection.mail
    if mail is None:
        raise RuntimeError("state without a transaction")
    rcpt = parse.parse_rcpt(argument, connection.limits, smtputf8=mail.smtputf8)
    # RFC 5321 §4.5.3.1.10
    if connection.recipients >= connection.limits.recipients:
        connection.send(replies.TOO_MANY_RECIPIENTS)
    elif mail.sender is None and connection.recipients >= 1 and not connection.profile.lmtp:
        # A bounce has one recipient; more is a spammer's saving. Temporary, so that the rest comes in turn.
        connection.send(replies.ONE_RECIPIENT_FOR_NULL_SENDER)
    else:
        connection.ask(RcptRequested(rcpt))


def handle_data(connection: Connection, argument: bytes, then: State) -> None:
    if _is_binary(connection):
        raise Refused(replies.BINARY_NEEDS_CHUNKS)
    connection.mode = Mode.CONTENT
    connection.content = DataContent(connection.limits.message_octets)
    connection.send(replies.START_DATA)
    connection.emit(ContentStarted())


def _is_binary(connection: Connection) -> bool:
    return connection.mail is not None and connection.mail.body is Body.BINARY_MIME


def handle_bdat(connection: Connection, argument: bytes, then: State) -> None:
    try:
        chunk = parse.parse_chunk(argument)
    except Refused as refused:
        # Nobody knows how many octets follow: nothing that comes can be taken for a command.
        connection.close(refused.reply, "errors")
        return
    if not isinstance(connection.content, ChunkedContent):
        refusal = connection.worded(CHUNK_REFUSALS.get(connection.state))
        if refusal is None:
            connection.emit(ContentStarted())
        connection.content = ChunkedContent(connection.limits.message_octets, refusal, binary=_is_binary(connection))
    content = connection.content
    connection.state = then
    content.begin_chunk(chunk.octets, last=chunk.last)
    if content.will_be_far_too_big:
        connection.refuse_far_too_big(content.octets)
        return
    connection.mode = Mode.CONTENT


def handle_rset(connection: Connection, argument: bytes, then: State) -> None:
    connection.begin(then)
    connection.send(replies.RESET)


def handle_vrfy(connection: Connection, argument: bytes, then: State) -> None:
    if not argument:
        raise Refused(replies.NEEDS_ARGUMENT)
    connection.send(replies.VRFY)


def handle_quit(connection: Connection, argument: bytes, then: State) -> None:
    connection.begin(State.START)
    connection.close(replies.closing(connection.profile.hostname), "quit")


def handle_starttls(connection: Connection, argument: bytes, then: State) -> None:
    if connection.tls:
        raise Refused(replies.TLS_ACTIVE)
    if not connection.profile.starttls:
        raise Refused(replies.TLS_NOT_OFFERED)
    connection.send(replies.TLS_READY)
    connection.mode = Mode.TLS
    connection.emit(StartTls())


def handle_xclient(connection: Connection, argument: bytes, then: State) -> None:
    if not connection.profile.xclient:
        # a stranger learns no more than of any other command that is not for him
        raise Refused(replies.NOT_IMPLEMENTED)
    connection.ask(XClientRequested(parse_xclient(argument)))


HANDLERS: dict[Verb, Callable[[Connection, bytes, State], None]] = {
    Verb.EHLO: handle_ehlo,
    Verb.HELO: handle_helo,
    Verb.LHLO: handle_lhlo,
    Verb.MAIL: handle_mail,
    Verb.RCPT: handle_rcpt,
    Verb.DATA: handle_data,
    Verb.BDAT: handle_bdat,
    Verb.RSET: handle_rset,
    Verb.NOOP: lambda connection, *_: connection.send(replies.OK),
    Verb.VRFY: handle_vrfy,
    Verb.HELP: lambda connection, *_: connection.send(replies.HELP),
    Verb.QUIT: handle_quit,
    Verb.STARTTLS: handle_starttls,
    Verb.XCLIENT: handle_xclient,
    Verb.AUTH: lambda connection, argument, then: connection.begin_auth(argument),
}
