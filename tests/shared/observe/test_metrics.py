"""Counters, gauges, histograms: what they count, what they render, where they stop growing."""

import pytest

from shared.observe.metrics import MAX_LABEL_CHARS, MAX_SERIES, Metrics


def test_text_format_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.counter("commands_total", "Commands\nby verb.", ("verb",)).inc(2, 'a"b\\c\nd')
    metrics.gauge("open", "Open.").set(2.5)
    seconds = metrics.histogram("seconds", "Time.", (0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        seconds.observe(value)
    assert metrics.render().decode() == (
        "# HELP commands_total Commands\\nby verb.\n"
        "# TYPE commands_total counter\n"
        'commands_total{verb="a\\"b\\\\c\\nd"} 2\n'
        "# HELP open Open.\n"
        "# TYPE open gauge\n"
        "open 2.5\n"
        "# HELP seconds Time.\n"
        "# TYPE seconds histogram\n"
        'seconds_bucket{le="0.1"} 2\n'
        'seconds_bucket{le="1"} 3\n'
        'seconds_bucket{le="+Inf"} 4\n'
        "seconds_sum 7.65\n"
        "seconds_count 4\n"
    )


def test_a_metric_without_labels_shows_from_the_start() -> None:
    metrics = Metrics()
    metrics.counter("a_total", "A.")
    assert b"a_total 0\n" in metrics.render()


def test_series_are_bounded_and_the_rest_is_counted_together() -> None:
    metrics = Metrics()
    counter = metrics.counter("c_total", "C.", ("user",))
    gauge = metrics.gauge("g", "G.", ("user",))
    histogram = metrics.histogram("h", "H.", (1,), ("user",))
    for i in range(MAX_SERIES + 50):
        counter.inc(1, f"user{i}")
        gauge.set(i, f"user{i}")
        histogram.observe(i, f"user{i}")
    for metric in (counter, gauge, histogram):
        assert len(metric._values) == MAX_SERIES + 1
    assert counter.value("other") == 50
    assert histogram.count("other") == 50


def test_label_values_are_cut() -> None:
    counter = Metrics().counter("c_total", "C.", ("name",))
    counter.inc(1, "x" * 10_000)
    counter.inc(1, "x" * 10_000)
    assert counter.value("x" * MAX_LABEL_CHARS) == 2


def test_gauge_goes_both_ways_and_can_be_asked() -> None:
    metrics = Metrics()
    gauge = metrics.gauge("open", "Open.", ("listener",))
    gauge.inc(1, "pop3")
    gauge.inc(1, "pop3")
    gauge.dec(1, "pop3")
    assert gauge.value("pop3") == 1
    asked = metrics.gauge("asked", "Asked.")
    asked.read_from(lambda: 7)
    assert asked.value() == 7
    assert b"asked 7\n" in metrics.render()
    with pytest.raises(ValueError, match="labels"):
        gauge.read_from(lambda: 1)


def test_same_name_is_same_metric_and_mistakes_are_told() -> None:
    metrics = Metrics()
    counter = metrics.counter("c_total", "C.", ("a",))
    assert metrics.counter("c_total", "C.", ("a",)) is counter
    with pytest.raises(ValueError, match="already"):
        metrics.counter("c_total", "C.", ("b",))
    with pytest.raises(ValueError, match="already"):
        metrics.gauge("c_total", "C.", ("a",))
    with pytest.raises(ValueError, match="labels"):
        counter.inc()
    with pytest.raises(ValueError, match="not a metric name"):
        metrics.counter("no good", "C.")
    with pytest.raises(ValueError, match="rise"):
        metrics.histogram("h", "H.", (2, 1))


def test_numbers_that_are_none_do_not_break_the_page() -> None:
    gauge = Metrics().gauge("g", "G.", ("k",))
    for value in (float("inf"), float("-inf"), float("nan")):
        gauge.set(value, str(value))
    assert [line.split()[-1] for line in gauge.samples()] == ["+Inf", "-Inf", "NaN"]
