"""Shared parts of the tests: real processes, real peers, the trio runner. Nothing here runs in production.

Files, in the order to read: `process.py` (one child process with its log, and `RunningService`), `stack.py` (a store
with any edges on one data directory), `postfix.py` and `dnsmasq.py` (peers), `clients.py` (mail clients of the
machine). Tests wait on events (a ready notice, a log line, a reply), each wait has an end.
"""

from shared.testing.runner import require, trio_test

__all__ = ["require", "trio_test"]
