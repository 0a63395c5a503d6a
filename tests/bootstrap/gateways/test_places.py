"""Each gateway process has its own place; a killed one's is free at once."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lapse.bootstrap.gateways import places
from lapse.bootstrap.gateways.places import abandoned_places, host_name, taken_place
from lapse.domain.errors import Refused, Unavailable

HOLD = """
import sys
from pathlib import Path
from lapse.bootstrap.gateways.places import taken_place
with taken_place(Path(sys.argv[1]), "gw-1") as place:
    print(place.number, flush=True)
    sys.stdin.read()
"""


def holding(folder):
    """Another process that holds a place, and which."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, int(process.stdout.readline())


def test_processes_have_places_of_their_own(tmp_path):
    with taken_place(tmp_path, "gw-1") as first, taken_place(tmp_path, "gw-1") as second:
        assert (first.name, second.name) == ("gw-1/0", "gw-1/1")
    with taken_place(tmp_path, "gw-1") as again:
        assert again.name == "gw-1/0"


def test_the_place_of_a_killed_process_is_the_next_ones(tmp_path):
    process, number = holding(tmp_path)
    with process:
        assert number == 0
        with taken_place(tmp_path, "gw-1") as beside:
            assert beside.number == 1
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with taken_place(tmp_path, "gw-1") as after:
            assert after.number == 0


def test_places_that_nobody_has_any_more_are_found_and_held(tmp_path):
    with taken_place(tmp_path, "gw-1"), taken_place(tmp_path, "gw-1"), taken_place(tmp_path, "gw-1") as third:
        held = abandoned_places(third)
        with held as found:
            assert found == []
    with taken_place(tmp_path, "gw-1") as alone, abandoned_places(alone) as found:
        assert [one.name for one in found] == ["gw-1/1", "gw-1/2"]
        with taken_place(tmp_path, "gw-1") as newcomer:
            assert newcomer.number == 3


def test_there_are_so_many_places(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "MOST_PLACES", 1)
    with taken_place(tmp_path), pytest.raises(Refused, match="1 gateway processes run here"):
        taken_place(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be made"):
        taken_place(tmp_path / "file" / "gateways").__enter__()


def test_the_machines_name_is_fit_for_a_name(monkeypatch):
    monkeypatch.setattr(places.socket, "gethostname", lambda: "a host/with\nodd")
    assert host_name() == "a-host-with-odd"
    monkeypatch.setattr(places.socket, "gethostname", lambda: "")
    assert host_name() == "gateway"
