"""A change of the contract must be a decision: bump VERSION when an edge of the old version would be wrong, then record the digest here."""

from shared.contract import VERSION
from shared.contract.areas import METHODS
from shared.contract.digest import contract_digest, contract_text
from shared.contract.registry import Role

RECORDED = (3, "4e66eab6422b5be01a26289438f8433f")


def test_the_contract_is_the_recorded_one() -> None:
    assert (VERSION, contract_digest()) == RECORDED, contract_text()


def test_only_the_administrator_sees_accounts_without_a_grant() -> None:
    for method in METHODS.values():
        if method.area in {"mailboxes", "messages", "sharing"} and method.name not in {"deliver", "keep_rejected"}:
            assert method.parameters[0][0] == "grant", method.wire_name


def test_smtp_in_can_never_read_a_mailbox() -> None:
    allowed = {name for name, method in METHODS.items() if Role.SMTP_IN in method.roles}
    assert allowed == {
        "directory.resolve",
        "directory.may_send_as",
        "directory.may_post",
        "auth.login",
        "auth.scram_begin",
        "auth.scram_finish",
        "content.begin_upload",
        "content.append_upload",
        "content.abort_upload",
        "messages.deliver",
        "messages.keep_rejected",
        "history.note",
        "devices.may_send_to",
        "sending.allowance",
        "sending.known",
        "sending.refused",
    }


def test_smtp_out_knows_the_queue_and_nothing_else() -> None:
    areas = {method.area for method in METHODS.values() if Role.SMTP_OUT in method.roles}
    assert areas == {"queue", "content", "events", "relays"}
