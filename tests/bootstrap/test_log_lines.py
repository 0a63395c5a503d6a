"""Log lines never hold up whoever logs, whatever their reader does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from lapse.bootstrap.log_lines import LogLines


class Reader:
    """A stream that takes lines only while it is open."""

    def __init__(self):
        self.open, self.reached, self.text = threading.Event(), threading.Event(), ""

    def write(self, text):
        self.reached.set()
        self.open.wait(10)
        self.text += text

    def flush(self):
        pass


def test_lines_are_written_in_their_order():
    reader = Reader()
    reader.open.set()
    lines = LogLines(reader)
    for number in range(100):
        lines.write(f"{number}\n")
    assert lines.drained(10)
    assert reader.text.split() == [str(number) for number in range(100)]


def test_a_reader_that_stops_holds_nobody_up_and_is_told_how_much_it_missed():
    reader = Reader()
    lines = LogLines(reader, most_waiting=3)
    lines.write("first\n")
    assert reader.reached.wait(10)
    for number in range(10):
        lines.write(f"{number}\n")
    assert not lines.drained(0)
    reader.open.set()
    assert lines.drained(10)
    first, second, told, *rest = reader.text.splitlines()
    assert [first, second, *rest] == ["first", "0", "1", "2"]
    assert json.loads(told) == {"event": "log lines dropped", "level": "warning", "lines": 7}


def test_a_reader_that_is_gone_is_no_failure():
    gone = os.fdopen(os.dup(1), "w")
    gone.close()
    lines = LogLines(gone)
    lines.write("nobody reads this\n")
    assert lines.drained(10)


def test_what_was_logged_last_is_written_before_the_process_ends():
    code = (
        "import sys; from lapse.bootstrap.logs import set_up_logs\n"
        "log = set_up_logs('info')\n"
        "for number in range(1000): log.info('said', number=number)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line)["number"] for line in done.stderr.splitlines()] == list(range(1000))


def test_processes_that_share_a_stream_do_not_write_into_the_lines_of_one_another():
    code = (
        "import os\n"
        "for _ in range(3): os.fork()\n"
        "from lapse.bootstrap.logs import set_up_logs\n"
        "log = set_up_logs('info')\n"
        "for number in range(500): log.info('said', number=number)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert sum(json.loads(line)["number"] for line in done.stderr.splitlines()) == 8 * sum(range(500))


def test_a_pipe_that_nobody_reads_does_not_stop_the_program():
    code = (
        "from lapse.bootstrap.logs import set_up_logs\n"
        "log = set_up_logs('info')\n"
        "for number in range(5000): log.info('said', text='x' * 100)\n"
        "print('done', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "done\n"
        process.stderr.close()
        process.kill()
