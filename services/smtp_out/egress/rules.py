"""What the administrator has said about a message's way. Pure.

The most particular word wins, in this order:
  1. the entry's own route (`pillarbox queue reroute`)
  2. a rule for the sender's and the recipient's domain
  3. a rule for the sender's domain
  4. a rule for the recipient's domain
  5. the rule for everything (`--all`)
  6. the settings' smart host
  7. nothing: direct, and what was learned

The sender's domain goes before the recipient's: who may send for a domain is a matter of permission (the provider's, and its SPF
record's), how to reach a recipient one of preference. A bounce has no sender's domain; only rules without one fit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.smtp_out.egress.ways import DIRECT, Choice, relay_way
from shared.contract.relay_types import DIRECT as DIRECT_NAME
from shared.contract.relay_types import SETTINGS, RelayRule


class RuleBook:
    """The rules, with the relays that are there."""

    def __init__(self, rules: Sequence[RelayRule], relays: Collection[str]) -> None:
        """`relays` has `SETTINGS` where the settings name a smart host."""
        self._relays = frozenset(relays)
        self._rules = {(rule.sender_domain, rule.recipient_domain): rule.relay for rule in rules}

    def choose(self, sender_domain: str, destination: str, route: str = "") -> Choice | None:
        """The way that is said; None: nothing is. A route or rule whose relay is gone says nothing."""
        said = [route]
        if sender_domain:
            said += [self._rule(sender_domain, destination), self._rule(sender_domain, "")]
        said += [self._rule("", destination), self._rule("", ""), SETTINGS]
        for name in said:
            if name == DIRECT_NAME:
                return Choice(DIRECT)
            if name in self._relays:
                return Choice(relay_way(name))
        return None

    def _rule(self, sender_domain: str, destination: str) -> str:
        return self._rules.get((sender_domain, destination), "")
