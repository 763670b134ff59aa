"""neomutt, with its caches and IMAP extensions on."""

from shared.testing.clients import mutt_save
from shared.testing.mail_samples import korean_message, plain_message

MESSAGES = [plain_message("one@x.test"), korean_message("two@x.test")]
CACHES = (
    "set imap_condstore=yes imap_qresync=yes imap_idle=yes imap_deflate=yes\n"
    "set header_cache={home}/headers message_cachedir={home}/bodies\n"
)


def test_reads_through_its_caches(stack, login, client):
    for message in MESSAGES:
        assert client.append(b"INBOX", message).ok
    for name in ("headers", "bodies"):
        (login.home / name).mkdir()
    settings = CACHES.format(home=login.home)
    assert mutt_save(stack.port("imaps"), login, 2, program="neomutt", settings=settings) == MESSAGES
    # again, with what it kept: nothing stale after a message went and another came
    client.ok("SELECT INBOX")
    client.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    client.ok("UID EXPUNGE 1")
    third = plain_message("three@x.test")
    assert client.append(b"INBOX", third).ok
    for path in login.home.glob("saved*"):
        path.rename(login.home / f"first-{path.name}")
    assert mutt_save(stack.port("imaps"), login, 2, program="neomutt", settings=settings) == [MESSAGES[1], third]
