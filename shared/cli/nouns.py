"""How a noun declares its verbs to the parser."""

import argparse
from collections.abc import Mapping
from typing import Any

import attrs

from shared.cli.invocation import Handler

Word = tuple[str, Mapping[str, Any]]
"""Name and argparse keywords of one argument."""


@attrs.frozen
class Verb:
    """`pillarbox NOUN name words...`"""

    name: str
    handler: Handler
    help: str
    words: tuple[Word, ...] = ()


def add_noun(
    nouns: "argparse._SubParsersAction[Any]", noun: str, summary: str, *verbs: Verb, alone: Handler | None = None
) -> None:
    """Add a noun with its verbs; a noun alone is wrong use unless ``alone`` handles it."""
    parser = nouns.add_parser(noun, help=summary, description=summary.capitalize() + ".")
    choices = parser.add_subparsers(metavar="|".join(verb.name for verb in verbs), required=alone is None)
    if alone is not None:
        parser.set_defaults(handler=alone)
    for verb in verbs:
        verb_parser = choices.add_parser(verb.name, help=verb.help, description=verb.help.capitalize() + ".")
        for name, keywords in verb.words:
            verb_parser.add_argument(name, **keywords)
        verb_parser.set_defaults(handler=verb.handler)
