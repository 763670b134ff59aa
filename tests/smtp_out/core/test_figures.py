"""Metrics by destination stay few, whatever mail goes where."""

from services.smtp_out.figures import MAX_CANDIDATES, MOST_NAMED, PROVEN, Figures, Names
from shared.contract.types import OutcomeKind
from shared.observe.metrics import MAX_SERIES, OTHER, Metrics

DELIVERED, DEFERRED, FAILED, RELEASED = (
    OutcomeKind.DELIVERED, OutcomeKind.DEFERRED, OutcomeKind.FAILED, OutcomeKind.RELEASED,
)  # fmt: skip


def test_who_has_much_mail_gets_a_name_and_keeps_it() -> None:
    names = Names()
    assert [names.of("a.test", 1) for _ in range(PROVEN)] == [OTHER] * (PROVEN - 1) + ["a.test"]
    assert names.of("b.test", PROVEN) == "b.test"
    assert names.of("a.test", 1) == "a.test"


def test_names_and_candidates_are_bounded() -> None:
    names = Names()
    for number in range(3 * MAX_CANDIDATES):
        assert names.of(f"once{number}.test", 1) == OTHER
        names.of("often.test", 1)
        assert len(names) <= MAX_CANDIDATES + 2
    assert names.of("often.test", 1) == "often.test"
    for number in range(2 * MOST_NAMED):
        names.of(f"much{number}.test", PROVEN)
    assert (names.of("much0.test", 1), names.of("late.test", PROVEN)) == ("much0.test", OTHER)
    assert len(names) == MOST_NAMED
    assert MOST_NAMED * len(OutcomeKind) < MAX_SERIES


def test_what_is_counted() -> None:
    metrics = Metrics()
    figures = Figures(metrics)
    figures.count("a.test", [DELIVERED] * 30 + [FAILED, RELEASED], 2.0)
    figures.count("a.test", [DEFERRED], 0.0)
    figures.count("b.test", [RELEASED], 1.0)
    figures.count("c.test", [DELIVERED], 1.0)
    lines = metrics.render().decode()
    total = "pillarbox_smtp_out_destination_attempts_total"
    for expected in (
        f'{total}{{destination="a.test",kind="delivered"}} 30',
        f'{total}{{destination="a.test",kind="failed"}} 1',
        f'{total}{{destination="a.test",kind="deferred"}} 1',
        f'{total}{{destination="other",kind="delivered"}} 1',
        'pillarbox_smtp_out_destination_seconds_count{destination="a.test"} 1',
        'pillarbox_smtp_out_destination_seconds_count{destination="other"} 1',
    ):
        assert expected in lines
    assert "released" not in lines
    assert "b.test" not in lines
