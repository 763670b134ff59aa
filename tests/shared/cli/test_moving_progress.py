"""What long work says of itself."""

from shared.cli.moving_progress import progress_line, time_text


def test_lines():
    assert progress_line(0, 100, 0, 1000, 0) == "[" + " " * 24 + "]   0 %  0 of 100 messages, 0 B"
    line = progress_line(50, 100, 500, 1000, 5)
    assert line == "[" + "#" * 12 + " " * 12 + "]  50 %  50 of 100 messages, 500 B, 10/s, 5 s left"
    assert progress_line(1, 1, 2000, 1000, 1).startswith("[" + "#" * 24 + "] 100 %")
    assert progress_line(0, 0, 0, 0, 1) == "[" + "#" * 24 + "] 100 %  0 of 0 messages, 0 B"


def test_times():
    assert [time_text(seconds) for seconds in (-1, 5.9, 200, 7500)] == ["0 s", "5 s", "3 min 20 s", "2 h 5 min"]
