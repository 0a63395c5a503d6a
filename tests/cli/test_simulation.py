"""`lapse review simulate`: what it says, what it refuses, and that a review takes what it makes."""

from __future__ import annotations

import pytest


def test_a_world_is_made_and_the_next_command_is_named(program, tmp_path):
    folder = tmp_path / "world"
    made = program.run(
        "review", "simulate", "--people", "50", "--days", "92", "--seed", "9", "--out", str(folder), "--json"
    ).data

    assert (made["folder"], made["period"], made["as_of"]) == (str(folder), "2026-07-01..2026-09-30", "2026-10-01")
    assert len(made["planted"]) == 68
    assert {file.name for file in folder.iterdir()} == {*made["files"], "planted.csv", "planted.json"}
    assert made["rows"]["grants"] > 500


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--people", "3"], "lapse: a world of 3 people cannot be made\n  hint: --people takes a number from 50 to"),
        (["--days", "9"], "lapse: a world of 9 days cannot be made\n  hint: --days takes a number from 92 to"),
        (["--people", "many"], "lapse: invalid value for `--people`"),
        (["--until", "yesterday"], "lapse: `yesterday` is not a day\n  hint: write it as 2026-09-30"),
        (["--seed", "-4"], "lapse: `-4` is no seed"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(program, tmp_path, words, said):
    ran = program.run("review", "simulate", "--out", str(tmp_path / "world"), *words, expect=2)

    assert ran.err.startswith(said)
    assert not (tmp_path / "world").exists()
