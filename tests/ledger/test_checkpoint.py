from __future__ import annotations

import pytest

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.ledger.checkpoint import Checkpoint, key_of, open_checkpoint, parse_key, seal, verify_signature
from lapse.ledger.standalone import write_key
from support.ledgers import KEY, ORIGIN, SIGNER, TestSigner

ROOT = bytes(range(32))


def test_what_is_sealed_opens():
    note = seal(12, ROOT, SIGNER)
    assert open_checkpoint(note, [KEY]) == Checkpoint(ORIGIN, 12, ROOT)


def test_a_note_reads_line_by_line():
    origin, size, root, empty, signature, end = seal(12, ROOT, SIGNER).decode().split("\n")
    assert (origin, size, root) == (ORIGIN, "12", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    assert (empty, end) == ("", "")
    assert signature.startswith(f"\N{EM DASH} {ORIGIN} ")


def test_a_key_is_read_as_it_is_published():
    assert parse_key(write_key(key_of(SIGNER))) == KEY


@pytest.mark.parametrize("text", ["", "a+b+c", "\ud800+00000000+AAAA", write_key(KEY)[:-5]])
def test_what_is_no_key_is_the_callers_mistake(text):
    with pytest.raises(InvalidInput, match="public key"):
        parse_key(text)


@pytest.mark.parametrize("name", ["", "two words", "one+one"])
def test_a_signer_whose_name_cannot_stand_in_a_note_is_refused(name):
    with pytest.raises(InvalidInput):
        key_of(TestSigner(name))


def test_a_note_that_does_not_open_is_corrupt():
    with pytest.raises(Corrupt, match="not signed by a key"):
        open_checkpoint(seal(12, ROOT, TestSigner(seed=8)), [KEY])


def test_a_signer_with_another_public_key_seals_nothing():
    confused = TestSigner()
    confused.public_key = TestSigner(seed=8).public_key
    with pytest.raises(Corrupt, match="is wrong"):
        seal(12, ROOT, confused)


def test_a_size_that_no_ledger_has_is_not_sealed():
    for size in (-1, 2**63):
        with pytest.raises(Corrupt, match="size"):
            seal(size, ROOT, SIGNER)


def test_malformed_keys_and_signatures_are_invalid():
    assert not verify_signature(b"short", b"m", bytes(64))
    assert not verify_signature(SIGNER.public_key, b"m", b"short")
