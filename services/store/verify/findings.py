"""What a verification finds: damages, named up to a bound and counted beyond it; and their form in JSON."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from shared.contract.verify_types import MOST_DAMAGES, Damage, DamageKind

_TEXT_CHARACTERS: Final = 200
"""Of what is free text: a reply with MOST_DAMAGES of them stays below a frame's bound."""


@attrs.define
class Findings:
    """Of one verification."""

    count: int = 0
    named: list[Damage] = attrs.field(factory=list)

    def add(self, damage: Damage) -> None:
        """One more."""
        self.count += 1
        if len(self.named) < MOST_DAMAGES:
            self.named.append(clip(damage))

    def add_all(self, damages: list[Damage]) -> None:
        for damage in damages:
            self.add(damage)


def clip(damage: Damage) -> Damage:
    """With no text longer than it may be."""
    return attrs.evolve(
        damage,
        what=damage.what[:_TEXT_CHARACTERS],
        account=damage.account[:_TEXT_CHARACTERS],
        mailbox=damage.mailbox[:_TEXT_CHARACTERS],
        subject=damage.subject[: _TEXT_CHARACTERS // 2],
    )


def damage_to_json(damage: Damage) -> dict[str, Any]:
    return attrs.asdict(damage)


def damage_from_json(fields: Mapping[str, Any]) -> Damage:
    """Raises ValueError, KeyError, TypeError."""
    return Damage(
        DamageKind(fields["kind"]),
        str(fields["what"]),
        str(fields["account"]),
        str(fields["mailbox"]),
        int(fields["uid"]),
        str(fields["subject"]),
        int(fields["date"]),
    )
