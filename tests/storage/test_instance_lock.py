"""One server per home, whatever way the first one ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lapse.domain.errors import Refused, Unavailable
from lapse.storage.instance_lock import acquire

HOLDER = """
import sys
from pathlib import Path
from lapse.storage.instance_lock import acquire
with acquire(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_server_is_refused_and_told_who_runs(tmp_path):
    with acquire(tmp_path / "lock"):
        told = rf"another server already runs on `.*` \(process {os.getpid()}\)"
        with pytest.raises(Refused, match=told), acquire(tmp_path / "lock"):
            pass
    with acquire(tmp_path / "lock"):
        pass


def test_the_lock_of_a_killed_server_is_free(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match=f"process {holder.pid}"), acquire(path):
            pass
        holder.kill()
        holder.wait()
    with acquire(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_lock_file_with_nonsense_in_it_does_not_confuse_the_message(tmp_path):
    with acquire(tmp_path / "lock"):
        (tmp_path / "lock").write_bytes(b"\x1b[31m rm -rf /\n")
        with pytest.raises(Refused) as caught, acquire(tmp_path / "lock"):
            pass
    assert "\x1b" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable, match="cannot be opened"), acquire(tmp_path / "missing" / "lock"):
        pass
