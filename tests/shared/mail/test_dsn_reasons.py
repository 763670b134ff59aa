"""What a sender is told of each class of failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.dsn_reasons import DELAYS, REASONS, explain, explain_delay
from shared.model.language import Language

EN, KO = Language.ENGLISH, Language.KOREAN


@pytest.mark.parametrize(
    ("enhanced", "text", "english", "korean"),
    [
        ("5.1.1", "", "no such address", "그런 주소가 없습니다"),
        ("5.1.0", "User unknown", "no such address", "그런 주소가 없습니다"),
        ("5.0.0", "mailbox bob not found", "no such address", "그런 주소가 없습니다"),
        ("5.1.10", "", "no mail at all", "메일을 전혀 받지 않습니다"),
        ("5.1.2", "", "no such mail domain", "그런 메일 도메인이 없습니다"),
        ("5.1.3", "", "not written in a way", "쓸 수 없는 형식"),
        ("5.1.99", "", "refused the address", "주소를 거절"),
        ("5.2.1", "", "switched off", "꺼져 있습니다"),
        ("5.2.2", "", "is full", "가득 찼습니다"),
        ("5.0.0", "552 over quota", "is full", "가득 찼습니다"),
        ("5.2.3", "", "too large for the recipient.", "너무 큽니다"),
        ("5.3.4", "", "too large for the recipient's server", "서버가 받기에는 메시지가 너무 큽니다"),
        ("5.4.4", "", "no mail server that can be reached", "연결할 수 있는 메일 서버가 없습니다"),
        ("5.4.6", "", "in a circle", "맴돌게"),
        ("5.4.7", "", "for days", "여러 날 동안"),
        ("5.6.7", "", "international addresses", "국제화된"),
        ("5.6.3", "", "this kind of message", "이런 종류의 메시지"),
        ("5.7.26", "", "comes from your domain", "보내는 도메인에서 왔는지"),
        ("5.7.1", "rejected by DMARC policy", "comes from your domain", "보내는 도메인에서 왔는지"),
        ("5.7.1", "Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org", "blocks mail", "막고 있습니다"),
        ("5.7.606", "Access denied, banned sending IP", "blocks mail", "막고 있습니다"),
        ("5.0.0", "your IP is listed by RBL", "blocks mail", "막고 있습니다"),
        ("5.7.1", "message looks like spam", "for spam or a virus", "스팸이나 바이러스"),
        ("5.7.10", "", "secure connection", "안전한 연결"),
        ("5.7.30", "REQUIRETLS", "secure connection", "안전한 연결"),
        ("5.7.0", "Must issue a STARTTLS command first: TLS required", "secure connection", "안전한 연결"),
        ("5.7.1", "not welcome", "by its rules", "자체 규칙"),
        ("5.7.1", "unlisted words of a listener", "by its rules", "자체 규칙"),
        ("5.0.0", "", "refused the message", "메시지를 거절"),
        ("", "", "refused the message", "메시지를 거절"),
    ],
)
def test_failures(enhanced: str, text: str, english: str, korean: str) -> None:
    assert english in explain(enhanced, text, EN)[0]
    assert korean in explain(enhanced, text, KO)[0]


@pytest.mark.parametrize(
    ("enhanced", "text", "english", "korean"),
    [
        ("4.2.2", "", "full", "가득"),
        ("4.4.3", "", "cannot be found", "찾을 수 없습니다"),
        ("4.4.1", "", "cannot be reached", "연결되지 않습니다"),
        ("4.7.5", "", "secure connection", "안전한 연결"),
        ("4.7.0", "the MTA-STS policy of b.test (enforce) names none", "secure connection", "안전한 연결"),
        ("4.7.0", "greylisted", "does not take", "지금은 메시지를 받지"),
        ("4.3.0", "", "does not take", "지금은 메시지를 받지"),
    ],
)
def test_delays(enhanced: str, text: str, english: str, korean: str) -> None:
    assert english in explain_delay(enhanced, text, EN)
    assert korean in explain_delay(enhanced, text, KO)


def test_every_reason_is_told_in_every_language() -> None:
    for reason in (*REASONS, *DELAYS):
        assert set(reason.words) == set(Language)
        assert all(words[0].endswith(".") for words in reason.words.values())
    assert all(words[1].endswith(".") for reason in REASONS for words in reason.words.values())


@given(st.text(max_size=12), st.text(max_size=300), st.sampled_from(Language))
def test_there_is_always_something_to_say(enhanced: str, text: str, language: Language) -> None:
    assert all(explain(enhanced, text, language))
    assert explain_delay(enhanced, text, language)
