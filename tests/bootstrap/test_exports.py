"""The pseudonymised export of a sealed review: made once, with a key that stays in the review's folder."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lapse.bootstrap.exports import pseudonymised_pack
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Corrupt, NotFound
from lapse.review.pack import verify_pack
from lapse.review.seal import seal
from support.sample_review import SampleSigner, sample_contents

ACTOR = Actor(name="olga.petrova", scopes=frozenset({Scope.AUDIT}))


@pytest.fixture
def desk(tmp_path):
    return SimpleNamespace(signer=SampleSigner(), folder_of=lambda review_id: tmp_path / review_id)


@pytest.fixture
def folder(desk):
    folder = desk.folder_of("r1")
    contents = sample_contents(folder / "snapshot", desk.signer)
    seal(replace(contents, name="review-r1"), signer=desk.signer, into=folder / "pack")
    return folder


def test_it_is_made_once_and_verifies(desk, folder):
    path = pseudonymised_pack(desk, ACTOR, "r1")
    assert path.name == "review-r1-pseudonymised.zip"
    assert verify_pack(str(path), desk.signer.vkey).ok
    before = path.stat().st_mtime_ns
    assert pseudonymised_pack(desk, ACTOR, "r1") == path
    assert path.stat().st_mtime_ns == before
    assert {p.name for p in folder.iterdir()} == {"snapshot", "pack", "pseudonymised", "pseudonyms.key"}


def test_the_key_is_private_and_in_no_pack(desk, folder):
    path = pseudonymised_pack(desk, ACTOR, "r1")
    key = folder / "pseudonyms.key"
    assert key.stat().st_mode & 0o077 == 0
    raw = path.read_bytes()
    assert key.read_bytes() not in raw
    assert key.read_bytes().hex().encode() not in raw


def test_a_review_without_a_pack_or_with_a_changed_one_has_no_export(desk, folder):
    with pytest.raises(NotFound, match="has no pack yet"):
        pseudonymised_pack(desk, ACTOR, "r2")
    (folder / "pack/review-r1/items.csv").write_bytes(b"")
    with pytest.raises(Corrupt, match="does not verify"):
        pseudonymised_pack(desk, ACTOR, "r1")
    assert not (folder / "pseudonymised").exists()
    assert not list(folder.glob(".pseudonymising-*"))
