"""`pillarbox doctor` against a real store and a DNS of the test's own: what it says, and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.testing.dns_server import DnsServer
from shared.testing.process import ROOT
from shared.testing.stack import Stack


def doctor(data: Path, resolver: str, *words: str) -> tuple[int, str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PILLARBOX_DATA": str(data),
        "PILLARBOX_SERVER__HOSTNAME": "mx.example.test",
        "PILLARBOX_DNS__RESOLVERS": resolver,
        "PILLARBOX_DNS__TIMEOUT_SECONDS": "1",
        "PILLARBOX_DNS__LIFETIME_SECONDS": "2",
        "PILLARBOX_SMTP_OUT__MX_PORT": "1",
    }
    argv = [sys.executable, "-P", "-m", "shared.cli.main", "doctor", "--time-server", "time.test:1", *words]
    done = subprocess.run(argv, capture_output=True, env=environment, timeout=60, check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path) -> None:
    settings = {"PILLARBOX_SERVER__HOSTNAME": "mx.example.test"}
    with Stack(tmp_path / "data", services=(), settings=settings) as stack, DnsServer({}) as dns:
        code, said = doctor(stack.data_dir, dns.setting)
        assert code == 1
        assert "PROBLEM  mx.example.test: has no address\n         -> publish: mx.example.test. IN A" in said
        assert "no MX record: no mail comes in\n         -> publish: example.test. IN MX 10 mx.example.test.\n" in said
        records = stack.administer(lambda store: store.admin.domain_dns("example.test"))
        for record in records:
            value = f'"{record.value}"' if len(record.value) < 255 else " ".join(
                f'"{record.value[at : at + 200]}"' for at in range(0, len(record.value), 200)
            )
            dns.set(record.name, {record.type: [value if record.type == "TXT" else record.value]})
        both = {record.type: [record.value if record.type == "MX" else f'"{record.value}"'] for record in records[:2]}
        dns.set("example.test", both)
        dns.set("mx.example.test", {"A": ["8.8.8.8"]})
        dns.set("8.8.8.8.in-addr.arpa", {"PTR": ["mx.example.test."]})
        code, said = doctor(stack.data_dir, dns.setting, "--json", "--probe", "probe.test")
        assert code == 0, said
        found = {(each["subject"], each["level"]) for each in json.loads(said)}
        assert {("mx.example.test", "ok"), ("8.8.8.8", "ok"), ("example.test", "ok"), ("port 25", "unknown")} <= found
        assert not [each for each in found if each[1] == "problem"]


@pytest.mark.parametrize("word", ["", ":1", "time.test:", "time.test:x", "time.test:70000"])
def test_a_time_server_that_is_none(word: str, tmp_path: Path) -> None:
    code, said = doctor(tmp_path, "127.0.0.1:1", "--time-server", word)
    assert (code, "is no name with a port" in said) == (2, True)
