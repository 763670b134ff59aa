"""Index of RFCs, citations in the code and the README's table say the same."""

from pathlib import Path

from shared.testing.rfc_table import ROOT, cited_in, make_table, read_index, replace_table

PACKAGES = ("services", "shared")


def citations() -> dict[int, list[str]]:
    """Number -> files of the code that cite it."""
    found: dict[int, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for number in cited_in(path.read_text(encoding="utf-8")):
                found.setdefault(number, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_cited_rfc_is_in_the_index() -> None:
    known = {rfc.number for rfc in read_index()}
    missing = {number: files for number, files in citations().items() if number not in known}
    assert not missing


def test_what_the_index_claims_is_cited_somewhere() -> None:
    cited = citations()
    unfounded = [f"{rfc.number} {rfc.title}" for rfc in read_index() if rfc.status == "yes" and rfc.number not in cited]
    assert not unfounded


def test_the_index_is_in_order_and_in_form() -> None:
    index = read_index()
    numbers = [rfc.number for rfc in index]
    assert numbers == sorted(set(numbers))
    assert {rfc.status for rfc in index} <= {"yes", "partial", "no"}
    owners = {rfc.owner for rfc in index}
    assert not [owner for owner in owners if not Path(ROOT, *owner.split(".")).is_dir()]


def test_citations_have_one_form() -> None:
    import re

    loose = re.compile(r"\b(RFC\d{3,5}|rfc ?\d{3,5})\b(?!\.txt)")
    bad = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for match in loose.finditer(path.read_text(encoding="utf-8"))
        # RFC822 is a word of protocols: RFC822.SIZE, message/rfc822, DSN's rfc822;address type
        if match.group().lower() != "rfc822"
    ]
    assert not bad


def test_the_readme_has_the_table_of_the_index() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert replace_table(readme, make_table(read_index())) == readme, "run: python -m shared.testing.rfc_table"


def test_citations_are_found_in_running_text() -> None:
    assert cited_in("see RFC 9051 §6.4.8, RFC 822 and RFC822.SIZE") == {9051, 822}
