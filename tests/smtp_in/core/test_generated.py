"""The grammar of MAIL and RCPT as generators: all that RFC 5321 §4.1.2 can say is understood, each way to break it is refused."""

import string

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.smtp_in.protocol import parse
from services.smtp_in.protocol.commands import Body
from services.smtp_in.protocol.limits import Limits
from services.smtp_in.protocol.parse import Refused

LIMITS = Limits()
LETTERS = string.ascii_letters + string.digits
ATEXT = LETTERS + "!#$%&'*+-/=?^_`{|}~"

# RFC 5321 §4.1.2
atoms = st.text(ATEXT, min_size=1, max_size=12)
dot_strings = st.lists(atoms, min_size=1, max_size=4).map(".".join)
contents = st.one_of(
    st.sampled_from([chr(code) for code in range(32, 127) if chr(code) not in '"\\']),
    st.sampled_from([chr(code) for code in range(32, 127)]).map(lambda character: "\\" + character),
)
quoted_strings = st.lists(contents, max_size=20).map(lambda parts: '"' + "".join(parts) + '"')
local_parts = dot_strings | quoted_strings
labels = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(LETTERS),
    st.text(LETTERS + "-", max_size=14).map(lambda text: text.rstrip("-")),
)
domain_names = st.lists(labels, min_size=1, max_size=4).map(".".join)
# RFC 5321 §4.1.3: Snum = 1*3DIGIT, 0 to 255
numbers = st.builds(lambda number, width: str(number).zfill(width), st.integers(0, 255), st.integers(1, 3))
ipv4 = st.lists(numbers, min_size=4, max_size=4).map(".".join)
groups = st.text(string.hexdigits, min_size=1, max_size=4)


@st.composite
def ipv6(draw: st.DrawFn) -> str:
    """RFC 5321 §4.1.3: IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp."""
    tail = [draw(ipv4)] if draw(st.booleans()) else []
    whole = 6 if tail else 8
    if draw(st.booleans()):
        return ":".join([*draw(st.lists(groups, min_size=whole, max_size=whole)), *tail])
    before = draw(st.lists(groups, max_size=whole - 2))
    behind = draw(st.lists(groups, max_size=whole - 2 - len(before)))
    return ":".join(before) + "::" + ":".join([*behind, *tail])


tags = st.text(LETTERS + "-", min_size=1, max_size=8).map(lambda text: text.rstrip("-") + "x")
general = st.builds(
    "{}:{}".format,
    tags.filter(lambda tag: tag.lower() != "ipv6"),
    st.text("".join(chr(code) for code in range(33, 127) if chr(code) not in "[\\]"), min_size=1, max_size=12),
)
literals = st.one_of(ipv4, ipv6().map(lambda text: "IPv6:" + text), general).map(lambda text: f"[{text}]")
domains = domain_names | literals
routes = st.lists(domain_names.map(lambda name: "@" + name), min_size=1, max_size=3).map(lambda hops: ",".join(hops) + ":")


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, str, str]:
    """A Path, and its local part and domain as written; within the limits of RFC 5321 §4.5.3.1."""
    local, domain = draw(local_parts), draw(domains)
    path = f"<{draw(st.just('') | routes)}{local}@{domain}>"
    assume(len(path) <= LIMITS.path_octets and len(local) <= LIMITS.local_part_octets)
    return path, local, domain


def any_case(word: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from([letter.lower(), letter.upper()]) for letter in word)).map("".join)


# RFC 3461 §4
xtext = st.lists(
    st.sampled_from([chr(code) for code in range(33, 127) if chr(code) not in "+="])
    | st.integers(33, 126).map(lambda code: f"+{code:02X}"),
    min_size=1,
    max_size=30,
).map("".join)
MAIL_PARAMETERS = {
    "SIZE": st.text(string.digits, min_size=1, max_size=20),
    "BODY": any_case("7BIT") | any_case("8BITMIME"),
    "SMTPUTF8": st.none(),
    "AUTH": st.just("<>") | xtext,
    "RET": any_case("FULL") | any_case("HDRS"),
    "ENVID": xtext,
}
RCPT_PARAMETERS = {
    "NOTIFY": st.lists(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]), min_size=1, unique=True).map(",".join) | any_case("NEVER"),
    "ORCPT": xtext.map(lambda text: "rfc822;" + text),
}


@st.composite
def parameters(draw: st.DrawFn, known: dict[str, st.SearchStrategy[str | None]]) -> tuple[str, dict[str, str | None]]:
    """Mail-parameters or Rcpt-parameters: each keyword at most once, in any order and case, and what they say."""
    values = {name: draw(known[name]) for name in draw(st.lists(st.sampled_from(sorted(known)), unique=True))}
    words = [draw(any_case(name)) + ("" if value is None else f"={value}") for name, value in values.items()]
    return "".join(f" {word}" for word in words), values


def without_quotes(local: str) -> str:
    """What a local part means: RFC 5321 §4.1.2, quoting adds nothing."""
    if not local.startswith('"'):
        return local
    out, characters = "", iter(local[1:-1])
    for character in characters:
        out += next(characters) if character == "\\" else character
    return out


@given(paths(), parameters(MAIL_PARAMETERS), any_case("FROM:"))
@settings(max_examples=150)
def test_every_mail_is_understood(path: tuple[str, str, str], more: tuple[str, dict[str, str | None]], word: str) -> None:
    mail = parse.parse_mail(f"{word}{path[0]}{more[0]}".encode(), LIMITS)
    assert mail.sender is not None
    assert without_quotes(mail.sender.local_part) == without_quotes(path[1])
    assert mail.sender.domain == path[2]
    said = more[1]
    assert mail.size == (int(said["SIZE"] or "") if "SIZE" in said else None)
    assert (mail.body is Body.EIGHT_BIT_MIME) == ((said.get("BODY") or "").upper() == "8BITMIME")
    assert mail.smtputf8 == ("SMTPUTF8" in said)
    assert (mail.envelope_id, mail.ret) == (said.get("ENVID") or "", (said.get("RET") or "").upper())
    assert parse.parse_mail(f"{word}<>{more[0]}".encode(), LIMITS) == evolve(mail, sender=None)


@given(paths(), parameters(RCPT_PARAMETERS), any_case("TO:"))
@settings(max_examples=150)
def test_every_rcpt_is_understood(path: tuple[str, str, str], more: tuple[str, dict[str, str | None]], word: str) -> None:
    rcpt = parse.parse_rcpt(f"{word}{path[0]}{more[0]}".encode(), LIMITS, smtputf8=False)
    assert without_quotes(rcpt.recipient.local_part) == without_quotes(path[1])
    assert rcpt.recipient.domain == path[2]
    assert rcpt.orcpt == (more[1].get("ORCPT") or "")
    assert bool(rcpt.notify) == ("NOTIFY" in more[1])


BREAKS = {
    "no opening bracket": "{local}@{domain}>",
    "no closing bracket": "<{local}@{domain}",
    "brackets twice": "<<{local}@{domain}>>",
    "no at": "<{local}{domain}>",
    "two ats": "<{local}@@{domain}>",
    "no local part": "<@{domain}>",
    "no domain": "<{local}@>",
    "space in front": "< {local}@{domain}>",
    "space behind": "<{local}@{domain} >",
    "space before the at": "<{local} @{domain}>",
    "dot in front": "<.{local}@{domain}>",
    "dot before the at": "<{local}.@{domain}>",
    "dot behind": "<{local}@{domain}.>",
    "dot after the at": "<{local}@.{domain}>",
    "hyphen after the at": "<{local}@-{domain}>",
    "hyphen behind": "<{local}@{domain}->",
    "underscore": "<{local}@x_{domain}>",
    "comment": "<{local}(c)@{domain}>",
    "display name": "Name <{local}@{domain}>",
    "route without an end": "<@a.test,{local}@{domain}>",
    "route without a host": "<@:{local}@{domain}>",
    "control character": "<{local}@{domain}\x01>",
    "half a pair of quotes": '<"{local}@{domain}>',
    "unclosed literal": "<{local}@[{domain}>",
    "label too long": "<{local}@" + "a" * 64 + ".{domain}>",
    "local part too long": "<" + "a" * 193 + "@{domain}>",
    "glued parameter": "<{local}@{domain}>SIZE=1",
    "glued words": "<{local}@{domain}>x",
}


@pytest.mark.parametrize("way", BREAKS)
@given(dot_strings, domain_names.filter(lambda name: not name.startswith("[")))
@settings(max_examples=25)
def test_every_broken_path_is_refused(way: str, local: str, domain: str) -> None:
    path = BREAKS[way].format(local=local, domain=domain).encode()
    for word, take in ((b"FROM:", parse_mail), (b"TO:", parse_rcpt)):
        with pytest.raises(Refused) as caught:
            take(word + path)
        assert caught.value.reply.code == 501


def parse_mail(argument: bytes) -> object:
    return parse.parse_mail(argument, LIMITS)


def parse_rcpt(argument: bytes) -> object:
    return parse.parse_rcpt(argument, LIMITS, smtputf8=False)


@given(paths(), parameters(MAIL_PARAMETERS), st.data())
@settings(max_examples=80)
def test_parameters_that_do_not_do(path: tuple[str, str, str], more: tuple[str, dict[str, str | None]], data: st.DataObject) -> None:
    start = f"FROM:{path[0]}{more[0]} "

    def code(parameter: str) -> int:
        with pytest.raises(Refused) as caught:
            parse.parse_mail((start + parameter).encode(), LIMITS)
        return caught.value.reply.code

    unknown = data.draw(st.text(LETTERS, min_size=1, max_size=8).filter(lambda word: word.upper() not in MAIL_PARAMETERS))
    # RFC 5321 §4.1.1.11
    assert code(unknown) == 555
    assert code(f"{unknown}=x") == 555
    for again in more[1]:
        value = more[1][again]
        assert code(again + ("" if value is None else f"={value}")) == 501
    for malformed in ("=x", "-A=1", f"{unknown}=", f"{unknown}==", f"{unknown}=a=b", f"{unknown}=\x7f"):
        assert code(malformed) == 501
    free = sorted({"SIZE=x", "BODY=9BIT", "SMTPUTF8=1", "AUTH=+", "RET=ALL", "ENVID=a+0"})
    for wrong in free:
        assert code(wrong) == 501
