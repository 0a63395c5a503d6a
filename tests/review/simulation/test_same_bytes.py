"""The same words give the same world, to the byte, whatever process makes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from lapse.review.simulation import Size
from lapse.review.simulation.books import Books
from lapse.review.simulation.run import found_company

pytestmark = pytest.mark.timeout(300)

CODE = """
import sys
from pathlib import Path
from lapse.review.simulation import Size, simulate
simulate(Size(people=50, days=92, seed=31_337), Path(sys.argv[1]))
"""


def test_two_processes_with_other_hashes_write_the_same_bytes(tmp_path):
    running = [
        subprocess.Popen([sys.executable, "-c", CODE, str(tmp_path / seed)], env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert [one.wait(280) for one in running] == [0, 0]

    first, second = (
        {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / seed).iterdir()}
        for seed in ("1", "2")
    )
    assert len(first) > 40
    assert first == second


class Nowhere:
    """Keeps nothing."""

    def add(self, table, row):
        """Take a row."""


def test_another_seed_is_another_world():
    names = [
        sorted(found_company(Size(people=50, days=92, seed=seed), Books(sink=Nowhere())).world.staff.persons)
        for seed in (1, 1, 2)
    ]
    assert names[0] == names[1] != names[2]
