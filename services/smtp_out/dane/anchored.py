"""Whether a server's certificates lead to one that a DANE-TA record names, for one of the names it may have. Pure but for the clock.

The path is built and verified by `cryptography`, which takes any certificate as the anchor, self-signed or not (RFC 7671 §5.2).
Of the rules for the web's authorities those are left out that a private authority's certificates often break and that DANE does
not ask for (key identifiers, name constraints, purposes): signatures, dates, the mark of an authority and the names count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    ServerVerifier,
    Store,
    VerificationError,
)

MAX_CERTIFICATES = 16  # of a chain; more are not looked at. Real ones have 2 to 4


def verify_anchored(chain: Sequence[bytes], anchors: Sequence[bytes], names: Sequence[str], now: datetime) -> str:
    """Empty, or why not, in words. `chain`: DER, the server's own first; `anchors`: DER, trusted; `names`: any one will do."""
    try:
        leaf, *others = (x509.load_der_x509_certificate(one) for one in chain[:MAX_CERTIFICATES])
        trusted = [x509.load_der_x509_certificate(one) for one in anchors[:MAX_CERTIFICATES]]
    except ValueError:
        return "a certificate cannot be read"
    why = "there is no name to verify"
    for name in names:
        try:
            _verifier(trusted, name, now).verify(leaf, others)
            return ""
        except VerificationError as error:
            # what follows names a Python object
            why = str(error).partition(" (encountered")[0].removeprefix("validation failed: ")
        except ValueError:
            pass  # a name that no certificate can have
    return why


def _verifier(trusted: Sequence[x509.Certificate], name: str, now: datetime) -> ServerVerifier:
    anything = ExtensionPolicy.permit_all()
    authority = anything.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None).may_be_present(
        x509.KeyUsage, Criticality.AGNOSTIC, _may_sign
    )
    # RFC 7672 §3.2.3: the names are those of subjectAltName
    server = anything.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    builder = PolicyBuilder().store(Store(list(trusted))).time(now)
    return builder.extension_policies(ca_policy=authority, ee_policy=server).build_server_verifier(x509.DNSName(name))


def _may_sign(policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    """RFC 5280 §4.2.1.3: if there are purposes, signing certificates is one of them."""
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")
