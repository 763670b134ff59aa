"""The organisational domain from the list of public suffixes, as before RFC 9989. The list comes with its package; nothing is fetched."""

from shared.mailauth.dmarc import Organisations


def load_suffix_list() -> Organisations:
    """Read the list: some 50 ms and 4 MB, so only where it is used."""
    from publicsuffixlist import PublicSuffixList

    suffixes = PublicSuffixList()

    def organisation(domain: str) -> str:
        # RFC 7489 §3.2: one label below the public suffix; a public suffix stands for itself
        return suffixes.privatesuffix(domain) or domain

    return organisation
