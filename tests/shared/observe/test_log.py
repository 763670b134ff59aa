"""Log lines: structured, safe against what clients put into them, and few writes."""

import json
import os
import threading
from pathlib import Path

import pytest
import trio

from shared.observe.log import Level, Logger
from shared.observe.log_buffer import LogBuffer
from shared.observe.trace import TRACE, new_trace


def logged(*, as_json: bool, event: str, **fields: object) -> str:
    lines: list[str] = []
    Logger("imap", Level.INFO, as_json, lines.append).info(event, **fields)
    assert len(lines) == 1
    return lines[0]


def test_json_lines_carry_the_fields() -> None:
    line = json.loads(logged(as_json=True, event="login", user="a@b", seconds=0.12345678, tls=True, none=None))
    assert (line["service"], line["level"], line["event"], line["user"]) == ("imap", "info", "login", "a@b")
    assert line["seconds"] == 0.123457
    assert line["tls"] is True
    assert "none" not in line


@pytest.mark.parametrize("hostile", ["a\nb", 'x" y="z', "\x1b[31m", "a=b c", "", "‮"])
@pytest.mark.parametrize("as_json", [False, True])
def test_no_client_can_forge_a_line(hostile: str, as_json: bool) -> None:
    line = logged(as_json=as_json, event="refused", helo=hostile)
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_long_values_are_cut() -> None:
    assert len(logged(as_json=True, event="x", value="y" * 100_000)) < 2000
    assert len(logged(as_json=False, event="x", value=["y" * 10] * 100_000)) < 2000


def test_the_trace_of_the_task_is_added() -> None:
    trace = new_trace()
    token = TRACE.set(trace)
    try:
        assert json.loads(logged(as_json=True, event="x"))["trace"] == trace
    finally:
        TRACE.reset(token)


def test_traces_are_short_and_differ() -> None:
    traces = {new_trace() for _ in range(1000)}
    assert len(traces) == 1000
    assert all((len(trace) == 13 and trace.isalnum() and trace.islower()) or trace.isdecimal() for trace in traces)


def test_an_exceptions_message_stays_out() -> None:
    lines: list[str] = []
    try:
        raise ValueError("the password was hunter2")
    except ValueError as error:
        Logger("imap", write=lines.append).exception("failed", error)
    assert "hunter2" not in lines[0]
    assert "ValueError" in lines[0]
    assert "test_log.py" in lines[0]


def test_lines_of_a_moment_leave_in_one_write(tmp_path: Path) -> None:
    receive, send = os.pipe()
    os.set_blocking(receive, False)
    buffer = LogBuffer(send)
    log = Logger("imap", Level.INFO, False, buffer.write, flush=buffer.flush)

    def written() -> bytes:
        try:
            return os.read(receive, 65536)
        except BlockingIOError:
            return b""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(buffer.run)
            log.info("one")
            log.info("two")
            assert written() == b""
            log.warning("three")
            assert written().count(b"\n") == 3
            log.info("four")
            while not (lines := written()):
                await trio.sleep(0.001)
            assert b"four" in lines
            log.info("five")
            thread = threading.Thread(target=log.info, args=("six",))
            thread.start()
            thread.join()
            assert [b"five" in line or b"six" in line for line in written().splitlines()] == [True, True]
            log.info("seven")
            nursery.cancel_scope.cancel()
        assert b"seven" in written()
        log.info("eight")
        assert b"eight" in written()

    trio.run(main)
    os.close(receive)
    log.info("nobody reads this")
    os.close(send)
