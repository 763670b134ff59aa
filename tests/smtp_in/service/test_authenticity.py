"""Mail from "elsewhere" (127.0.0.1, whose domains a DNS server of the test speaks for): what is believed, filed, refused."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.contract.history_types import PassageKind
from shared.testing.dns_server import DnsServer, Trouble
from shared.testing.stack import PASSWORD

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
KEY_TEXT = f"v=DKIM1; p={PUBLIC}"
KEY_STRINGS = " ".join(f'"{KEY_TEXT[at : at + 200]}"' for at in range(0, len(KEY_TEXT), 200))

ZONES = {
    "1.0.0.127.in-addr.arpa": {"PTR": ["mail.good.test."]},
    "mail.good.test": {"A": ["127.0.0.1"]},
    "good.test": {"TXT": ['"v=spf1 ip4:127.0.0.1 -all"']},
    "_dmarc.good.test": {"TXT": ['"v=DMARC1; p=reject"']},
    "signed.test": {"TXT": ['"v=spf1 -all"']},
    "sel._domainkey.signed.test": {"TXT": [KEY_STRINGS]},
    "_dmarc.signed.test": {"TXT": ['"v=DMARC1; p=reject"']},
    "forged.test": {"TXT": ['"v=spf1 -all"']},
    "_dmarc.forged.test": {"TXT": ['"v=DMARC1; p=reject"']},
    "doubtful.test": {"TXT": ['"v=spf1 ~all"']},
    "_dmarc.doubtful.test": {"TXT": ['"v=DMARC1; p=quarantine"']},
    "sel._domainkey.silent.test": Trouble.DROP,
    "shaky.test": Trouble.SERVFAIL,
    "_dmarc.shaky.test": {"TXT": ['"v=DMARC1; p=reject"']},
}


@pytest.fixture(scope="module")
def server(start):
    with DnsServer(ZONES) as dns:
        settings = {
            "PILLARBOX_AUTHENTICITY__SECONDS": "4",
            "PILLARBOX_DNS__RESOLVERS": dns.setting,
            "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "",
        }
        with start(settings) as running:
            running.add_accounts(dict.fromkeys(("alice@example.test", "bob@example.test"), PASSWORD))
            yield running


@pytest.fixture
def offer(server, dial):
    """Hand a message in on port 25; the reply to its end."""

    def hand_in(sender: bytes, message: bytes) -> bytes:
        with dial(server.port("smtp")) as raw:
            raw.begin(sender=sender)
            raw.send(message + b".\r\n")
            return raw.reply()

    return hand_in


def message(subject, author, *, body=b"Hello.\r\n", more=b""):
    return more + b"From: " + author + b"\r\nSubject: " + subject + b"\r\nTo: alice@example.test\r\n\r\n" + body


def results(content):
    head = content.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ")
    return [line for line in head.split(b"\r\n") if line.startswith(b"Authentication-Results: mx.example.test;")]


def test_spf_pass_that_belongs_to_the_author(server, offer, watch):
    assert offer(b"bounce@good.test", message(b"spf", b"a@good.test")).startswith(b"250 ")
    (content,) = watch(server).with_subject("alice@example.test", b"spf")
    assert content.startswith(b"Return-Path: <bounce@good.test>\r\nAuthentication-Results: mx.example.test;\r\n")
    (field,) = results(content)
    assert b"iprev=pass (mail.good.test)" in field
    assert b"spf=pass (good.test says ip4:127.0.0.1/32)  smtp.mailfrom=bounce@good.test" in field
    assert b"dmarc=pass (the SPF pass of good.test belongs to good.test; policy reject)  header.from=good.test" in field


@pytest.mark.parametrize("size", [10, 400_000])
def test_signature_that_belongs_to_the_author(server, offer, watch, size):
    """Small in memory, large from the spool's file: the signature is checked and the index fits."""
    subject = b"signed %d" % size
    plain = message(subject, b"a@signed.test", body=b"0123456789abcdef" * 4 * (size // 64) + b"\r\nend\r\n")
    field = dkim.sign(plain, b"sel", b"signed.test", PEM, include_headers=[b"from", b"subject"])
    assert offer(b"x@elsewhere.test", field + plain).startswith(b"250 ")
    (content,) = watch(server).with_subject("alice@example.test", subject)
    assert b"dkim=pass" in results(content)[0]
    assert b"dmarc=pass" in results(content)[0]
    assert content.endswith(plain)
    # and broken on the way
    assert offer(b"x@elsewhere.test", field + plain.replace(b"end", b"End")).startswith(b"550 5.7.26 ")


def test_the_verdicts_stand_in_the_history(server, offer):
    assert offer(b"told@good.test", message(b"told", b"a@good.test")).startswith(b"250 ")
    assert offer(b"told@good.test", message(b"told", b"a@forged.test")).startswith(b"550 ")

    async def find(store):
        while True:
            history = await store.history.find("told@good.test", 5)
            if len(history.passages) == 2:
                return history.passages

    accepted, refused = server.administer(find)
    assert (accepted.kind, accepted.text) == (
        PassageKind.ACCEPTED, "SPF pass (good.test), no DKIM signature, DMARC pass (good.test)"
    )  # fmt: skip
    assert (refused.kind, refused.code, refused.recipients) == (PassageKind.REFUSED, 550, ("alice@example.test",))
    assert "DMARC fail (forged.test)" in refused.text


def test_disowned_messages_are_refused(server, offer, watch):
    assert offer(b"x@elsewhere.test", message(b"forged", b"ceo@forged.test")).startswith(b"550 5.7.26 ")
    assert offer(b"ceo@forged.test", message(b"forged", b"ceo@forged.test")).startswith(b"550 5.7.26 ")
    assert offer(b"", message(b"forged", b"ceo@sub.forged.test")).startswith(b"550 5.7.26 ")
    # several authors: the strictest owner decides, whoever else passes
    assert offer(b"b@good.test", message(b"forged", b"a@good.test, ceo@forged.test")).startswith(b"550 5.7.26 ")
    # an address that cannot be checked beside it, or too many, hide nobody
    assert offer(b"b@good.test", message(b"forged", b"ceo@forged.test, x@y")).startswith(b"550 5.7.26 ")
    many = b", ".join(b"a@d%d.test" % number for number in range(5))
    assert offer(b"b@good.test", message(b"forged", b"ceo@forged.test, " + many)).startswith(b"550 5.7.26 ")
    assert watch(server).with_subject("alice@example.test", b"forged") == []


def test_a_silent_server_of_the_sender_hides_nobody(server, offer):
    """The key's name server never answers: the policy of the domain in From is asked all the same, and hangs on that answer."""
    plain = message(b"silent", b"ceo@forged.test")
    field = dkim.sign(plain, b"sel", b"silent.test", PEM, include_headers=[b"from", b"subject"])
    assert offer(b"x@elsewhere.test", field + plain).startswith(b"451 4.7.26 ")


def test_a_message_that_the_library_cannot_read_is_judged_all_the_same(server, offer):
    plain = message(b"odd", b"ceo@forged.test", more=b"no colon here\r\n")
    field = dkim.sign(message(b"odd", b"a@signed.test"), b"sel", b"signed.test", PEM, include_headers=[b"from"])
    assert offer(b"x@elsewhere.test", field + b"Bad Name : x\r\n" + plain)[:4] in (b"550 ", b"250 ")


def test_doubtful_messages_go_to_junk(server, offer, watch):
    assert offer(b"x@doubtful.test", message(b"doubtful", b"a@doubtful.test")).startswith(b"250 ")
    assert watch(server).with_subject("alice@example.test", b"doubtful") == []
    (content,) = [each for each in watch(server).mailbox("alice@example.test", "Junk") if b"Subject: doubtful" in each]
    assert b"spf=softfail" in results(content)[0]


def test_trouble_with_the_dns_is_temporary(offer):
    assert offer(b"x@shaky.test", message(b"shaky", b"a@shaky.test")).startswith(b"451 4.7.26 ")


def test_several_from_fields_are_refused(offer):
    twice = message(b"two", b"a@good.test", more=b"From: b@forged.test\r\n")
    assert offer(b"a@good.test", twice).startswith(b"550 5.6.0 ")


def test_results_in_our_name_are_taken_out(server, offer, watch):
    false = b"Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\r\n"
    other = b"Authentication-Results: other.test; spf=pass\r\n"
    assert offer(b"b@good.test", message(b"ours", b"a@nobody.test", more=false + other)).startswith(b"250 ")
    (content,) = watch(server).with_subject("alice@example.test", b"ours")
    assert len(results(content)) == 1
    assert b"bank.test" not in content
    assert other in content
    assert b"dmarc=none (nobody.test publishes no policy)" in results(content)[0]


def test_accounts_are_not_checked(server, dial, watch):
    with dial(server.port("submissions"), tls=True) as raw:
        token = base64.b64encode(b"\0alice@example.test\0" + PASSWORD.encode())
        assert raw.ask(b"EHLO client.test").startswith(b"250 ")
        assert raw.ask(b"AUTH PLAIN " + token).startswith(b"235 ")
        assert raw.ask(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
        assert raw.ask(b"RCPT TO:<bob@example.test>").startswith(b"250 ")
        assert raw.ask(b"DATA").startswith(b"354 ")
        raw.send(message(b"own", b"alice@example.test") + b".\r\n")
        assert raw.reply().startswith(b"250 ")
    (content,) = watch(server).with_subject("bob@example.test", b"own")
    assert results(content) == []


def test_the_list_of_public_suffixes_in_place_of_the_walk(start, dial):
    """Neighbours below one suffix, which says by mistake that it is none: the walk believes it, the list knows better."""
    zones = {
        "sender.co.uk": {"TXT": ['"v=spf1 ip4:127.0.0.1 -all"']},
        "_dmarc.victim.co.uk": {"TXT": ['"v=DMARC1; p=reject"']},
        "_dmarc.co.uk": {"TXT": ['"v=DMARC1; p=none; psd=n"']},
    }
    answers = []
    with DnsServer(zones) as dns:
        for rule in ("tree", "suffix-list"):
            settings = {
                "PILLARBOX_DNS__RESOLVERS": dns.setting,
                "PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "",
                "PILLARBOX_AUTHENTICITY__DMARC_ORGANISATIONAL": rule,
            }
            with start(settings) as own, dial(own.port("smtp")) as raw:
                own.add_accounts({"alice@example.test": PASSWORD})
                raw.begin(sender=b"x@sender.co.uk")
                raw.send(message(b"neighbours", b"ceo@victim.co.uk") + b".\r\n")
                answers.append(raw.reply()[:11])
    assert answers == [b"250 2.0.0 O", b"550 5.7.26 "]
