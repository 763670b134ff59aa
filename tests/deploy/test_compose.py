"""The stack of deploy/compose.yaml, built and run in a real Docker engine: mail in and out, restart, scale, confinement.

One engine and one stack for the whole file, in the order below; each test leaves it running.
"""

import imaplib
import poplib
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import attrs
import pytest

from shared.testing.dns_server import DnsServer
from shared.testing.docker_engine import BRIDGE, CommandFailed, Compose, DockerEngine, base_image
from shared.testing.process import ROOT
from shared.testing.smtp_peer import SmtpPeer

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900), pytest.mark.xdist_group("compose")]

ADDRESS = "127.213.0.1"
"""Published on a loopback address of its own, at the standard ports."""
SUBNET, GATEWAY = "10.213.77.0/24", "10.213.77.1"
ALICE, BOB = "alice@example.test", "bob@example.test"
PASSWORD = "correct-horse-battery"

OVERRIDE = f"""
networks:
  default: {{external: true, name: {BRIDGE}}}
services:
  smtp_out:
    environment:
      PILLARBOX_DNS__RESOLVERS: "%(resolver)s"
      PILLARBOX_SMTP_OUT__MX_PORT: "%(port)d"
      PILLARBOX_SMTP_OUT__ALLOW_PRIVATE: "true"
"""


@attrs.frozen
class Running:
    """The stack, and the world around it."""

    compose: Compose
    peer: SmtpPeer
    tls: ssl.SSLContext


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("compose")
    with DockerEngine() as engine:
        with base_image() as archive:
            engine.import_base(archive, "base:test")
        environment = {"PILLARBOX_BASE_IMAGE": "base:test", "PILLARBOX_PUBLISH": f"{ADDRESS}:"}
        # Made before the stack, so that peer and DNS can listen on the gateway's address.
        bridge_name = f"com.docker.network.bridge.name={BRIDGE}"
        engine.docker("network", "create", "--subnet", SUBNET, "--gateway", GATEWAY, "--opt", bridge_name, BRIDGE)
        with (
            SmtpPeer(host=GATEWAY, name="mx.remote.test") as peer,
            DnsServer(
                {"remote.test": {"MX": ["10 mx.remote.test."]}, "mx.remote.test": {"A": [GATEWAY]}}, host=GATEWAY
            ) as dns,
        ):
            override = folder / "override.yaml"
            override.write_text(OVERRIDE % {"resolver": dns.setting, "port": peer.port})
            compose = Compose(engine, "pillarbox", [ROOT / "deploy" / "compose.yaml", override], environment)
            compose("build", "store")
            compose("up", "-d", "--no-build")
            pillarbox = ("exec", "-T", "store", "pillarbox")
            for _ in patiently("the store answers"):
                try:
                    compose(*pillarbox, "domain", "add", "example.test")
                    break
                except CommandFailed:
                    continue
            for address in (ALICE, BOB):
                compose(*pillarbox, "account", "add", address, "--password-stdin", data=PASSWORD.encode() + b"\n")
            certificate = compose("exec", "-T", "store", "cat", "/data/tls/cert.pem")
            tls = ssl.create_default_context(cadata=certificate)
            tls.check_hostname = False
            try:
                yield Running(compose, peer, tls)
            finally:
                print(compose("logs", "--no-color", "--tail", "40"))
                # Orderly, so that no half-closed connection keeps a network of the kernel's alive.
                compose("down", "--timeout", "10")


def patiently(what: str, seconds: float = 40.0) -> Iterator[None]:
    """Tries in a row until the caller stops: for a container that comes up, where no event reaches us."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        yield
        pause.wait(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def send(stack: Running, subject: str, *recipients: str) -> None:
    """As Alice, through submission with STARTTLS; tries again where the connection is refused."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ALICE, ", ".join(recipients), subject
    message["Message-ID"] = f"<{subject.replace(' ', '.')}@example.test>"
    message.set_content("안녕하세요\n")
    with smtplib.SMTP(ADDRESS, 587, timeout=60) as smtp:
        smtp.starttls(context=stack.tls)
        smtp.login(ALICE, PASSWORD)
        smtp.send_message(message)


def subjects(stack: Running) -> list[str]:
    """Of Bob's INBOX, by IMAP over TLS."""
    for _ in patiently("IMAP answers"):
        try:
            with imaplib.IMAP4_SSL(ADDRESS, 993, ssl_context=stack.tls, timeout=30) as imap:
                imap.login(BOB, PASSWORD)
                imap.select("INBOX", readonly=True)
                _, answer = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
                return [part[1].decode().strip() for part in answer if isinstance(part, tuple)]
        except (ConnectionError, ssl.SSLError, imaplib.IMAP4.abort):
            continue
    raise AssertionError("unreachable")


def test_a_message_goes_in_and_out(stack: Running) -> None:
    for _ in patiently("submission answers"):
        try:
            send(stack, "first", BOB, "carol@remote.test")
            break
        except (ConnectionError, smtplib.SMTPServerDisconnected):
            continue
    assert subjects(stack) == ["Subject: first"]
    pop3 = poplib.POP3_SSL(ADDRESS, 995, context=stack.tls, timeout=30)
    pop3.user(BOB)
    pop3.pass_(PASSWORD)
    assert pop3.stat()[0] == 1
    pop3.quit()
    stack.peer.wait_messages(1)
    assert stack.peer.messages[0].recipients == ("carol@remote.test",)
    assert b"\r\nSubject: first\r\n" in stack.peer.messages[0].content


def test_mail_from_outside_arrives(stack: Running) -> None:
    with smtplib.SMTP(ADDRESS, 25, timeout=60) as smtp:
        smtp.sendmail("carol@remote.test", [BOB], b"From: carol@remote.test\r\nSubject: from outside\r\n\r\nHi\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail("carol@remote.test", ["dave@elsewhere.test"], b"Subject: relay?\r\n\r\nno\r\n")
    assert "Subject: from outside" in subjects(stack)


def test_containers_are_confined(stack: Running) -> None:
    services = ("store", "smtp_in", "smtp_out", "imap", "pop3")
    for service in services:
        (container,) = stack.compose.containers(service)
        described = stack.compose.engine.inspect(container)
        host = described["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["CapAdd"] in (None, ["NET_BIND_SERVICE"], ["CAP_NET_BIND_SERVICE"]), service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert described["State"]["Health"]["Status"] in ("healthy", "starting"), service
        told = stack.compose("exec", "-T", service, "sh", "-c", LOOK_AROUND).splitlines()
        uid, capabilities, written, networks, readable, mail = (line.partition(":")[2].split() for line in told)
        assert uid == ["8025"], service
        assert capabilities == ["0" * 16], service
        assert written == [], service
        if service == "store":
            assert {"imap/key", "pop3/key", "smtp_in/key", "smtp_out/key", "admin/key"} <= set(readable)
            assert networks == ["lo"]
        else:
            assert readable == [f"{service}/key"], service
            assert mail == [], service


LOOK_AROUND = """
echo uid: $(id -u)
echo capabilities: $(sed -n 's/^CapEff://p' /proc/self/status)
echo written: $(for place in /app /data /etc /opt; do touch $place/x 2>/dev/null && echo $place; done)
echo networks: $(tail -n +3 /proc/net/dev | cut -d: -f1)
echo readable: $(cd /data/keys && for key in */*; do test -r $key && echo $key; done)
echo mail: $(ls /data/store)
"""


def test_imap_restarts_while_mail_flows(stack: Running) -> None:
    started = {name: started_at(stack, name) for name in ("store", "smtp_in", "smtp_out", "pop3", "imap")}
    names = [f"flow {number}" for number in range(30)]
    failures: list[BaseException] = []

    def flow() -> None:
        try:
            for name in names:
                send(stack, name, BOB)
        except BaseException as error:
            failures.append(error)

    sender = threading.Thread(target=flow)
    sender.start()
    stack.compose("restart", "imap")
    sender.join(120)
    assert not failures
    found = subjects(stack)
    assert sorted(subject for subject in found if "flow" in subject) == sorted(f"Subject: {name}" for name in names)
    after = {name: started_at(stack, name) for name in started}
    assert {name for name in started if started[name] != after[name]} == {"imap"}


def started_at(stack: Running, service: str) -> str:
    """When a service's one container was started."""
    (container,) = stack.compose.containers(service)
    return str(stack.compose.engine.inspect(container)["State"]["StartedAt"])


def test_smtp_out_scales_to_two(stack: Running) -> None:
    stack.compose("up", "-d", "--no-build", "--no-recreate", "--scale", "smtp_out=2")
    assert len(stack.compose.containers("smtp_out")) == 2
    for _ in patiently("two senders are connected"):
        if stack.compose("exec", "-T", "store", "pillarbox", "status", "--json").count('"role": "smtp_out"') == 2:
            break
    before = len(stack.peer.messages)
    for number in range(20):
        send(stack, f"out {number}", "carol@remote.test")
    stack.peer.wait_messages(before + 20)
    for _ in patiently("the queue is empty"):
        if stack.compose("exec", "-T", "store", "pillarbox", "queue", "list", "--json").strip() == "[]":
            break
    bodies = [message.content for message in stack.peer.messages[before:]]
    assert sorted(line for body in bodies for line in body.split(b"\r\n") if line.startswith(b"Subject: out")) == sorted(
        f"Subject: out {number}".encode() for number in range(20)
    )


def test_compose_file_needs_nothing_new(tmp_path: Path) -> None:
    """Compose before 2.0 reads it too, and every image is ours."""
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    assert text.count("    <<: *service\n") == 5
    assert "\nname:" not in text
    assert "\nversion:" not in text
