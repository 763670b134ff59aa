"""The health of one process: named checks, each ok or not with a reason, and what `/healthz` and `/readyz` say of them.

Two questions are kept apart. *Alive*: is the process worth keeping? Only a check made with `vital=True` can say no.
*Ready*: can it do its work now? An edge whose store is being restarted is alive and not ready; to restart it as well
would throw out its clients for nothing.

The reasons are shown to whoever may reach the internal address, so they hold no secret and no user data.
"""

from __future__ import annotations

import json

import attrs


@attrs.frozen
class Check:
    """One named check. `why` is a short public reason, empty when all is well."""

    ok: bool
    why: str = ""
    vital: bool = False


class Health:
    """The checks of one process. The names are ours and few, so the table is bounded by the code."""

    def __init__(self, service: str = "") -> None:
        self.service = service
        self._checks: dict[str, Check] = {}

    def set(self, name: str, ok: bool, why: str = "", *, vital: bool = False) -> None:
        """Records the present state of the check `name`; a vital one decides whether the process counts as alive."""
        self._checks[name] = Check(ok, "" if ok else why, vital)

    def check(self, name: str) -> Check | None:
        """The last state of one check, None when it was never set."""
        return self._checks.get(name)

    @property
    def alive(self) -> bool:
        """No vital check fails."""
        return all(check.ok for check in self._checks.values() if check.vital)

    @property
    def ready(self) -> bool:
        """At least one check has reported and none fails: a process that has not begun its work is not ready."""
        return bool(self._checks) and all(check.ok for check in self._checks.values())

    def statistics(self) -> dict[str, object]:
        """The whole state as plain data, as the HTTP endpoint shows it."""
        return {
            "service": self.service,
            "alive": self.alive,
            "ready": self.ready,
            "checks": {name: {"ok": c.ok, "why": c.why} for name, c in sorted(self._checks.items())},
        }

    def render(self) -> bytes:
        """`statistics()` as one line of JSON."""
        return json.dumps(self.statistics(), separators=(",", ":")).encode() + b"\n"
