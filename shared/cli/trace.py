"""`pillarbox trace ID|ADDRESS|@DOMAIN`, or `trace --account ADDRESS`: where is my mail? What happened to a message, in plain words."""

import argparse
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from shared.cli.dialogue import dialogue_as_json, dialogue_lines
from shared.cli.invocation import EXIT_FAILED, EXIT_OK, Invocation, WrongUse
from shared.cli.output import iso_time, local_time, print_json, printable, size_text
from shared.cli.queue import as_json as item_as_json
from shared.cli.queue import next_try
from shared.cli.store_access import StoreClient, ask
from shared.contract.history_types import MAX_DIALOGUES, FiledAs, History, Passage, PassageKind, Whereabouts
from shared.contract.queue_types import QueueItem

STORIES: Final = 10
MOST_STORIES: Final = 50
INDENT: Final = " " * 18
Said = dict[int, bytes]


def register(nouns: "argparse._SubParsersAction[Any]") -> None:
    """A noun without verbs."""
    summary = "tell what happened to a message"
    parser = nouns.add_parser("trace", help=summary, description=summary.capitalize() + ".")
    parser.add_argument(
        "query",
        metavar="ID|ADDRESS|@DOMAIN",
        nargs="?",
        default="",
        help="trace id (as in the log and in Received), sender or recipient",
    )
    parser.add_argument("--account", metavar="ADDRESS", default="", help="only what this account submitted")
    parser.add_argument(
        "--last", metavar="N", type=_count, default=STORIES, help=f"how many messages at the most (default {STORIES})"
    )
    parser.add_argument("--dialogue", action="store_true", help="with what was said in the attempts to deliver it")
    parser.set_defaults(handler=tell)


def _count(word: str) -> int:
    number = int(word) if word.isascii() and word.isdigit() else 0
    if not 0 < number <= MOST_STORIES:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_STORIES}")
    return number


def tell(invocation: Invocation) -> int:
    """The stories, oldest first; exit code 1 when nothing is known."""
    query, most, account = invocation.options.query, invocation.options.last, invocation.options.account
    if not query and not account:
        raise WrongUse("say which message: a trace id, an address, a domain (@example.org), or --account")
    if account:
        history = ask(invocation, lambda store: store.history.sent_by(account, query, most), account)
    else:
        history = ask(invocation, lambda store: store.history.find(query, most), query)
    said = _dialogues(invocation, history) if invocation.options.dialogue else {}
    if invocation.json:
        print_json([_as_json(trace, passages, history, said) for trace, passages in _stories(history)])
    elif history.passages:
        now = time.time()
        print("\n\n".join("\n".join(_story(trace, passages, history, now, said)) for trace, passages in _stories(history)))
        if history.more:
            print(f"\nOlder messages match, too: pillarbox trace {_words(query, account)} --last {MOST_STORIES}")
    else:
        print(f"nothing is known of {_words(query, account)} (kept for a time: store.history_days)")
    return EXIT_OK if history.passages else EXIT_FAILED


def _words(query: str, account: str) -> str:
    """The question as it was written."""
    return printable(" ".join(filter(None, (query, account and f"--account {account}"))))


def _dialogues(invocation: Invocation, history: History) -> Said:
    """What is kept of the passages' dialogues, by number."""
    numbers = sorted({passage.dialogue for passage in history.passages if passage.dialogue})
    said: Said = {}
    for start in range(0, len(numbers), MAX_DIALOGUES):
        part = tuple(numbers[start : start + MAX_DIALOGUES])
        said.update(zip(part, ask(invocation, _asking(part), "dialogues"), strict=True))
    return said


def _asking(numbers: tuple[int, ...]) -> Callable[[StoreClient], Awaitable[tuple[bytes, ...]]]:
    return lambda store: store.history.dialogues(numbers)


def _stories(history: History) -> Iterable[tuple[str, list[Passage]]]:
    return ((trace, list(passages)) for trace, passages in groupby(history.passages, lambda passage: passage.trace))


# --- for people ---


def _story(trace: str, passages: Sequence[Passage], history: History, now: float, said: Said) -> Iterable[str]:
    yield f"message {printable(trace)}"
    told: set[int] = set()
    for passage in passages:
        first, *more = _told(passage, history.now)
        yield f"{local_time(passage.at)}  {first}"
        yield from (INDENT + line for line in more)
        if passage.dialogue not in told:  # recipients that share one see it once
            yield from (INDENT + line for line in dialogue_lines(said.get(passage.dialogue, b"")))
            told.add(passage.dialogue)
    for item in _waiting(passages, history.waiting):
        yield f"{INDENT}{printable(item.recipient)} waits: next try {next_try(item, now)}"
        if item.last_text:
            yield f"{INDENT}  last answer: {printable(item.last_text)}"
        yield from (f"{INDENT}  {words}" for words in item.wishes.in_words())


def _told(passage: Passage, now: Sequence[Whereabouts]) -> list[str]:
    """One passage: its sentence, and lines that explain it."""
    whom = printable(_names(passage))
    by = f" by {printable(passage.remote)}" if passage.remote else ""
    match passage.kind:
        case PassageKind.ACCEPTED:
            return _accepted(passage, whom, now)
        case PassageKind.REFUSED:
            sender = printable(passage.sender or "<>")
            return [f"refused: {sender} to {whom}, from {printable(passage.client)}", printable(passage.text)]
        case PassageKind.DELIVERED:
            return [f"delivered to {whom}{by}{_how(passage)}", *_answer(passage)]
        case PassageKind.DEFERRED:
            return [f"not yet delivered to {whom}, to be tried again{_how(passage)}", *_answer(passage)]
        case PassageKind.FAILED:
            return [f"could not be delivered to {whom}{by}{_how(passage)}", *_answer(passage)]
        case PassageKind.REPORTED:
            return [f"a report on that went to {whom}", *_filed(passage.copies, now)]
        case PassageKind.REMOVED:
            return [f"taken out of the queue for {whom} by an administrator"]
        case PassageKind.RECALLED:
            return [f"taken back before it went to {whom}"]
        case PassageKind.FILED:
            return ["its time had come", *_filed(passage.copies, now)]


def _accepted(passage: Passage, whom: str, now: Sequence[Whereabouts]) -> list[str]:
    who = f"submitted by {printable(passage.account)}" if passage.account else "received"
    lines = [
        f"{who} from {printable(passage.client)}, {size_text(passage.octets)}",
        f"{printable(passage.sender or '<>')} to {whom}",
    ]
    if passage.text:
        lines.append(printable(passage.text))
    lines += _filed(passage.copies, now)
    if passage.entries:
        count = len(passage.entries)
        lines.append(f"queued for {count} {'recipient' if count == 1 else 'recipients'}")
    return lines


def _filed(copies: Sequence[FiledAs], now: Sequence[Whereabouts]) -> Iterable[str]:
    for copy in copies:
        places = [place for place in now if place.email_id == copy.email_id]
        yield f"filed for {printable(copy.address)}" + (f"; now in {_places(places)}" if places else "")


def _places(places: Sequence[Whereabouts]) -> str:
    return ", ".join(
        f"{printable(place.mailbox)} of {place.account} ({'read' if chr(92) + 'Seen' in place.flags else 'not read'})"
        for place in places
    )


def _names(passage: Passage) -> str:
    more = passage.recipient_count - len(passage.recipients)
    names = ", ".join(passage.recipients) or "nobody yet"
    return f"{names} and {more} more" if more > 0 and passage.recipients else names


def _how(passage: Passage) -> str:
    facts = [*([printable(passage.tls)] if passage.tls else []), f"{passage.seconds:.1f} s"]
    return f" ({', '.join(facts)})"


def _answer(passage: Passage) -> list[str]:
    code = f"{passage.code} " if passage.code else ""
    return [printable(f"{code}{passage.text}")] if passage.text or code else []


def _waiting(passages: Sequence[Passage], waiting: Sequence[QueueItem]) -> list[QueueItem]:
    entries = {entry for passage in passages for entry in passage.entries}
    return [item for item in waiting if item.entry_id in entries]


# --- for scripts ---


def _as_json(trace: str, passages: Sequence[Passage], history: History, said: Said) -> dict[str, Any]:
    return {
        "trace": trace,
        "passages": [
            _passage_as_json(passage, history.now) | {"dialogue": dialogue_as_json(said.get(passage.dialogue, b""))}
            for passage in passages
        ],
        "waiting": [item_as_json(item) for item in _waiting(passages, history.waiting)],
    }


def _passage_as_json(passage: Passage, now: Sequence[Whereabouts]) -> dict[str, Any]:
    return {
        "at": iso_time(passage.at),
        "what": passage.kind.value,
        "sender": passage.sender,
        "recipients": list(passage.recipients),
        "recipient_count": passage.recipient_count,
        "octets": passage.octets,
        "client": passage.client,
        "account": passage.account,
        "code": passage.code,
        "text": passage.text,
        "remote": passage.remote,
        "tls": passage.tls,
        "seconds": round(passage.seconds, 3),
        "copies": [
            {
                "recipient": copy.address,
                "now": [
                    {"account": place.account, "mailbox": place.mailbox, "uid": place.uid, "flags": list(place.flags)}
                    for place in now
                    if place.email_id == copy.email_id
                ],
            }
            for copy in passage.copies
        ],
    }
