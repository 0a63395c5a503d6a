"""Pseudonyms: keyed, stable, and found in texts as whole names only."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import TEXT
from lapse.review.privacy import Pseudonyms
from lapse.review.privacy.fields import Holds, of_column, of_field

KEY = bytes(range(32))


@pytest.fixture
def names():
    made = Pseudonyms(KEY)
    for kind, name in (
        (Holds.PERSON, "olga.petrova"),
        (Holds.PERSON, "Olga Petrova"),
        (Holds.PERSON, "olga@example.com"),
        (Holds.ACCOUNT, "CORP\\olga"),
        (Holds.ACCOUNT, "al"),
        (Holds.ADDRESS, "10.0.0.7"),
        (Holds.PERSON, "müller"),
    ):
        made.add(kind, name)
    return made


def test_the_same_name_has_one_pseudonym_however_it_is_written(names):
    assert names.of(Holds.PERSON, "olga.petrova") == names.of(Holds.PERSON, "Olga.Petrova")
    assert names.of(Holds.PERSON, "müller") == names.of(Holds.PERSON, "mu\u0308ller")
    assert names.of(Holds.PERSON, "olga.petrova") != Pseudonyms(KEY[::-1]).of(Holds.PERSON, "olga.petrova")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_whoever_has_the_key_can_make_it_again_with_openssl(names):
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{KEY.hex()}"]
    done = subprocess.run(command, input=b"olga.petrova", capture_output=True, check=True)
    assert names.of(Holds.PERSON, "olga.petrova") == f"person-{done.stdout.split()[-1].decode()[:12]}"


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("olga.petrova holds `writer`.", True),
        ("login `CORP\\olga` belongs to nobody", True),
        ("pg-prod/olga.petrova", True),
        ("Olga Petrova, from 10.0.0.7.", True),
        ("asked by OLGA@example.com", True),
        ("xolga.petrova and olga.petrovas", False),
        ("al is short, `al` is marked", True),
        ("also almost all", False),
    ],
)
def test_names_are_found_in_texts_as_wholes(names, text, replaced):
    found = names.text(text)
    assert (found != text) is replaced
    for name in ("olga.petrova ", "Olga Petrova", "CORP\\olga", "10.0.0.7", "OLGA@"):
        assert name not in found or not replaced
    assert "`al`" not in found
    assert ("al is short" in found) is ("al is short" in text)


def test_lists_and_parties_keep_their_form(names):
    listed = names.of(Holds.PERSON, "olga.petrova; group:dba;müller")
    first, middle, last = listed.split(";")
    assert first.startswith("person-")
    assert middle == " group:dba"
    assert last.startswith("person-")
    assert names.of(Holds.PERSON, "") == ""


def test_ids_that_were_hashed_from_names_are_hashed_anew(names):
    item, group = "itm_" + "ab" * 10, "grp_" + "cd" * 8
    found = names.text(f"{item} in {group}")
    assert item not in found
    assert group not in found
    assert found == names.text(f"{item} in {group}")
    assert len(names.keyed("ab" * 16)) == 32


def test_a_role_that_nobody_logs_in_with_keeps_its_name():
    made = Pseudonyms(KEY)
    made.add(Holds.PERSON, "olga")
    made.keep("reader")
    made.keep("olga")
    made.add(Holds.ACCOUNT, "reader")
    assert made.of(Holds.ACCOUNT, "reader") == "reader"
    assert made.of(Holds.ACCOUNT, "olga") != "olga"


@given(st.text(), st.text(min_size=1))
def test_any_text_and_any_name_go_through(text, name):
    made = Pseudonyms(KEY)
    made.add(Holds.PERSON, name)
    made.text(text)
    made.of(Holds.PERSON, name)


def test_what_is_not_known_is_left_out():
    assert of_column("some_new_column") is Holds.LEFT_OUT
    assert of_field("SomeNew", "some_new_field") is Holds.LEFT_OUT
    assert (
        of_column("justification") is of_column("reason") is of_column("body") is of_column("files") is Holds.LEFT_OUT
    )
    assert of_column("denied_because") is of_column("detail") is of_column("last_error") is Holds.LEFT_OUT


def test_no_column_of_names_is_taken_for_a_text():
    """Every text column of the evidence whose description speaks of somebody holds a name, or is left out."""
    for table in TABLES.values():
        for column in table.columns:
            if column.kind is TEXT and column.doc.startswith(("who ", "whom ", "name of the principal", "login ")):
                assert of_column(column.name) is not Holds.TEXT, (table.name, column.name)
