"""The world outside: a server that takes everything (smtp-sink), the domains whose mail it takes, and dead ones."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Final, Self

from shared.testing.dnsmasq import Dnsmasq, free_port
from shared.testing.runner import require

DOMAINS: Final = 200
DEAD: Final = 20
"""Of the last so many domains the mail server accepts connections and never says a word."""
_LIVING_HOST: Final = "127.0.0.41"
_DEAD_HOST: Final = "127.0.0.42"
_COUNTS: Final = re.compile(rb"mesg=(\d+)")
ARRIVE_SECONDS: Final = 300.0


class Outside:
    """`port`: where mail servers listen out there; `resolver`: where their names are known. domains: d0.out.test ... d199.out.test."""

    def __init__(self) -> None:
        self.port = free_port(_LIVING_HOST)
        living = {f"d{number}.out.test": ["mx.out.test"] for number in range(DOMAINS - DEAD)}
        dead = {f"d{number}.out.test": ["dead.out.test"] for number in range(DOMAINS - DEAD, DOMAINS)}
        hosts = {"mx.out.test": _LIVING_HOST, "dead.out.test": _DEAD_HOST}
        self._dns = Dnsmasq({**living, **dead}, hosts)
        self.resolver = self._dns.resolver
        self.relay = f"[{_LIVING_HOST}]:{self.port}"
        """As Postfix wants it."""
        self._silent = socket.socket()
        self._changed = threading.Condition()
        self._arrived = 0
        self._last = 0.0

    def __enter__(self) -> Self:
        self._silent.bind((_DEAD_HOST, self.port))
        self._silent.listen(4096)
        self._dns.start()
        sink = shutil.which("smtp-sink") or str(Path(require("postfix")).with_name("smtp-sink"))
        command = [sink, "-c", "-u", "postfix", f"{_LIVING_HOST}:{self.port}", "1024"]
        self._sink = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._reader = threading.Thread(target=self._count)
        self._reader.start()
        return self

    def _count(self) -> None:
        assert self._sink.stdout is not None
        while octets := os.read(self._sink.stdout.fileno(), 65536):
            if counts := _COUNTS.findall(octets):
                with self._changed:
                    self._arrived, self._last = int(counts[-1]), time.perf_counter()
                    self._changed.notify_all()

    @property
    def arrived(self) -> int:
        """Messages so far."""
        return self._arrived

    def wait_for(self, count: int) -> float:
        """Return when so many have arrived in all; when the last one came (perf_counter)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= count, ARRIVE_SECONDS):
                raise SystemExit(f"{count - self._arrived} messages did not arrive")
            return self._last

    def __exit__(self, *_: object) -> None:
        self._sink.terminate()
        self._sink.wait()
        self._reader.join()
        self._dns.stop()
        self._silent.close()
