"""What SPF, DKIM and DMARC cost a delivery: `python tests/bench/bench_checks.py [--messages 2000] [--connections 16] [--rounds 3]`.

Two servers of ours, one that checks loopback and one that does not, take the same signed messages in turn. The DNS is a dnsmasq on
loopback whose answers live for an hour, as most do. Printed: messages per second until their 250, CPU per message, and the
median of the rounds' ratios (with the checks to without).
"""

import argparse
import base64
import imaplib
import shutil
import sys
import tempfile
from pathlib import Path

import dkim
from bench import say
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from drive import build_driver, load
from measure import Meter, median
from messages import message

from shared.testing.dnsmasq import Dnsmasq
from shared.testing.stack import PASSWORD, Stack
from shared.testing.world import fetch_all

DOMAIN = "bench.test"
SENDER_DOMAIN = "load.test"
USERS = 8
WARM_UP = 100


def make_key() -> tuple[bytes, str]:
    """RSA with 2048 bits, as most sign, and its record."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def signed(key: bytes, octets: int) -> bytes:
    """A message of sender@load.test, signed as the large ones do it."""
    head = f"From: Load Sender <sender@{SENDER_DOMAIN}>\r\n".encode()
    rest = b"".join(line for line in message(1, octets).splitlines(keepends=True) if not line.startswith((b"From:", b".")))
    names = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]
    canonical = (b"relaxed", b"relaxed")
    content = head + rest
    return dkim.sign(content, b"sel", SENDER_DOMAIN.encode(), key, canonicalize=canonical, include_headers=names) + content


def verdicts(stack: Stack) -> str:
    """What the newest message says about itself, so that nobody measures checks that failed early."""
    with imaplib.IMAP4("127.0.0.1", stack.port("imap")) as client:
        client.login(f"user0@{DOMAIN}", PASSWORD)
        newest = fetch_all(client)[-1].decode()
    return " ".join(word for word in ("spf=pass", "dkim=pass", "dmarc=pass") if word in newest)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    compiler = shutil.which("cc")
    if compiler is None:
        print("the benchmark needs a C compiler (cc)", file=sys.stderr)
        return 2
    key, record = make_key()
    texts = {
        SENDER_DOMAIN: "v=spf1 ip4:127.0.0.0/8 -all",
        f"_dmarc.{SENDER_DOMAIN}": "v=DMARC1; p=reject",
        f"sel._domainkey.{SENDER_DOMAIN}": record,
    }
    dns = Dnsmasq({}, {f"mx.{SENDER_DOMAIN}": "127.0.0.1"}, ("test", "in-addr.arpa"), texts=texts)
    dns.argv = (*dns.argv, "--local-ttl=3600", "--neg-ttl=3600", f"--ptr-record=1.0.0.127.in-addr.arpa,mx.{SENDER_DOMAIN}")
    settings = {
        "PILLARBOX_DNS__RESOLVERS": dns.resolver,
        "PILLARBOX_LIMITS__EXEMPT_NETWORKS": "127.0.0.0/8",
        "PILLARBOX_AUTHENTICITY__DMARC": "enforce",
    }
    checked = settings | {"PILLARBOX_AUTHENTICITY__UNCHECKED_NETWORKS": "192.0.2.0/24"}
    with tempfile.TemporaryDirectory(prefix="pillarbox-checks-") as scratch:
        base = Path(scratch)
        driver = build_driver(base, compiler)
        (base / "content").write_bytes(signed(key, options.octets))
        stacks = {
            "without": Stack(base / "without", ("smtp_in", "imap"), settings, DOMAIN),
            "with": Stack(base / "with", ("smtp_in", "imap"), checked, DOMAIN),
        }
        with dns, stacks["without"], stacks["with"]:
            for stack in stacks.values():
                stack.add_accounts({f"user{number}@{DOMAIN}": PASSWORD for number in range(USERS)})
            measure(driver, base / "content", stacks, options)
            found = {name: verdicts(stack) for name, stack in stacks.items()}
    say(f"verdicts: {found}")
    return 0 if found == {"without": "", "with": "spf=pass dkim=pass dmarc=pass"} else 1


def measure(driver: Path, content: Path, stacks: dict[str, Stack], options: argparse.Namespace) -> None:
    """All rounds, and the report."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in stacks}
    for number in range(options.rounds):
        for name in sorted(stacks, reverse=number % 2 == 0):
            stack = stacks[name]
            sizes = ("-H", "127.0.0.1", "-P", stack.port("smtp"), "-c", options.connections, "-u", USERS, "-F", content)
            if number == 0:
                load(driver, "smtp", *sizes, "-n", WARM_UP)
            with Meter({service: running.pid for service, running in stack.services.items()}) as meter:
                answer = load(driver, "smtp", *sizes, "-n", options.messages)
            if answer["failed"]:
                raise SystemExit(f"{name} the checks: {answer['failed']} of {options.messages} messages were refused")
            figures[name].append((options.messages / answer["wall"], 1e3 * meter.total / options.messages))
            say(f"{name} the checks, round {number + 1}: {figures[name][-1][0]:.0f}/s, {figures[name][-1][1]:.3f} CPU ms each")
    pairs = list(zip(figures["without"], figures["with"], strict=True))
    speed, cost = median(b[0] / a[0] for a, b in pairs), median(b[1] / a[1] for a, b in pairs)
    say(f"speed with the checks: {speed:.2f} of that without; CPU: {cost:.2f} times")


if __name__ == "__main__":
    sys.exit(main())
