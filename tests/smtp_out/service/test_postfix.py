"""A real Postfix as the receiver: TLS as it offers it, pipelining, its refusals."""

from __future__ import annotations

from pathlib import Path

from shared.testing.mail_samples import korean_message
from shared.testing.outbound import ALICE, OutboundWorld
from shared.testing.postfix import Postfix


def test_mail_reaches_postfix_over_tls_and_its_refusal_comes_back(tmp_path: Path) -> None:
    content = korean_message("k1@example.test", to="carol@remote.test")
    with Postfix() as postfix, OutboundWorld(tmp_path, {"PILLARBOX_SMTP_OUT__MX_PORT": str(postfix.port)}) as world:
        world.point("remote.test", postfix.address)
        world.submit(ALICE, ["carol@remote.test", "nobody@remote.test", "dave@remote.test"], content, eight_bit=True)
        for user in ("carol", "dave"):
            received = postfix.wait_message(user, "k1@example.test")
            assert content.replace(b"\r\n", b"\n") in received.replace(b"\r\n", b"\n")
        (bounce,) = world.wait_inbox(1)
        world.wait_queue_empty()
        assert b"Status: 5.1.1" in bounce
        assert b"nobody@remote.test" in bounce
        (line,) = world.smtp_out.wait_for_log("delivered.*carol")
        assert "TLSv1." in line
