"""`python -m shared.testing.rfc_table`: write the README's table of standards from `shared/rfc_index.tsv`.

The index has one line per RFC: number, title, status (yes, partial, no) and the module that owns it. Code cites in the
form `RFC 9051 §6.4.8`; a test holds index, citations and README together.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).resolve().parents[2]
INDEX: Final = ROOT / "shared" / "rfc_index.tsv"
BEGIN: Final = "<!-- standards: made by python -m shared.testing.rfc_table -->"
END: Final = "<!-- end of standards -->"
CITATION: Final = re.compile(r"\bRFC (\d{3,5})\b")
AREAS: Final = (
    ("SMTP", ("services.smtp_in", "services.smtp_out")),
    ("Authenticity", ("shared.mailauth",)),
    ("IMAP", ("services.imap",)),
    ("POP3", ("services.pop3",)),
    ("Messages", ("shared.mail", "shared.moving")),
    (
        "Below them",
        ("shared.sasl", "shared.wire", "shared.net", "shared.dns", "shared.http", "services.store", "deploy"),
    ),
)


@attrs.frozen
class Rfc:
    """One line of the index."""

    number: int
    title: str
    status: str
    owner: str


def read_index() -> tuple[Rfc, ...]:
    """In file order."""
    with INDEX.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(Rfc(int(number), title, status, owner) for number, title, status, owner in rows[1:])


def cited_in(text: str) -> set[int]:
    """Numbers of the RFCs that a text cites."""
    return {int(number) for number in CITATION.findall(text)}


def make_table(index: Iterable[Rfc]) -> str:
    """One row per area; what is partial is said so."""
    by_number = sorted(index, key=lambda rfc: rfc.number)
    lines = ["| | in full | in part |", "|---|---|---|"]
    for area, owners in AREAS:
        numbers = {
            status: ", ".join(str(rfc.number) for rfc in by_number if rfc.owner in owners and rfc.status == status)
            for status in ("yes", "partial")
        }
        if any(numbers.values()):
            lines.append(f"| {area} | {numbers['yes']} | {numbers['partial']} |")
    return "\n".join(lines)


def replace_table(readme: str, table: str) -> str:
    """The README with a new table between its two marks. Raises ValueError without them."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    """Rewrite README.md."""
    readme = ROOT / "README.md"
    readme.write_text(replace_table(readme.read_text(encoding="utf-8"), make_table(read_index())), encoding="utf-8")


if __name__ == "__main__":
    main()
