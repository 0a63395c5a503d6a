"""One item of many, proved alone: by folder and zip, there and not there, and never against what was sealed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.ledger import merkle
from lapse.ledger.standalone import leaf_hash
from lapse.review.pack import verify_pack
from lapse.review.pack.folder import PackFolder
from lapse.review.pack.items import item_line, write_items
from lapse.review.pack.standalone_container import PackDefect
from lapse.review.pack.standalone_items import (
    ITEMS,
    OFFSETS,
    TREE,
    check_items,
    first_not_before,
    id_of,
    inclusion_proof,
    level_start,
    proved,
    root_of,
)
from lapse.review.pack.standalone_main import item_lines
from lapse.review.pack.standalone_one import FolderPieces, item_status, verify_item
from support.sample_review import ITEMS as SAMPLE
from support.sample_review import SampleSigner


@pytest.fixture(params=["folder", "zip"])
def place(request, sealed):
    return str(sealed.folder if request.param == "folder" else sealed.archive)


def written(root, count):
    folder = PackFolder(root)
    items = [replace(SAMPLE[0], id=f"it_{number:05}") for number in range(count)]
    return items, write_items(folder, reversed(items))


def test_an_item_is_proved_with_what_it_says(place, signer):
    for number, item in enumerate(sorted(SAMPLE, key=lambda one: one.id), start=1):
        outcome = verify_item(place, item.id, signer.vkey)
        assert outcome.problems == []
        assert (outcome.place, outcome.count) == (number, len(SAMPLE))
        assert json.dumps(outcome.item) == item_line(item).decode()
        assert item_status(outcome) == 0


@pytest.mark.parametrize("name", ["", "it_0000", "it_0003x", "zzz", "it_0003\0"])
def test_that_there_is_no_such_item_is_proved_too(place, signer, name):
    outcome = verify_item(place, name, signer.vkey)
    assert outcome.problems == []
    assert outcome.absent
    assert item_status(outcome) == 3
    assert item_lines(outcome)[-1].startswith("NOT THERE   ")


def test_another_key_is_refused(place):
    outcome = verify_item(place, SAMPLE[0].id, SampleSigner(b"x" * 32).vkey)
    assert [problem.file for problem in outcome.problems][:1] == ["keys/signer.vkey"]
    assert not outcome.item
    assert item_lines(outcome)[-1].startswith("NOT PROVED   ")


@pytest.mark.parametrize("name", [ITEMS, OFFSETS, TREE])
@pytest.mark.parametrize("change", [lambda raw: b"", lambda raw: bytes(len(raw))])
def test_files_that_were_changed_prove_nothing(folder, signer, name, change):
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    assert all(not verify_item(str(folder), item.id, signer.vkey).item for item in SAMPLE)
    assert name in {problem.file for problem in verify_pack(str(folder)).problems}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_shows_or_does_not_matter(sealed, signer, tmp_path_factory, data):
    raw = bytearray(sealed.archive.read_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flipped") / sealed.archive.name
    path.write_bytes(raw)
    outcome = verify_item(str(path), "it_0003", signer.vkey)
    assert outcome.problems or outcome.item["decision_reason"] == "break-glass account until December"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_truncated_zip_gives_a_sentence(sealed, signer, tmp_path_factory, data):
    raw = sealed.archive.read_bytes()
    path = tmp_path_factory.mktemp("cut") / sealed.archive.name
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    (problem,) = verify_item(str(path), "it_0003", signer.vkey).problems
    assert problem.problem


@pytest.mark.parametrize("path", ["/nonexistent.zip", "/dev/null", "/etc", "/"])
def test_what_is_no_pack_gives_a_sentence(path):
    assert verify_item(path, "x").problems


def test_a_bomb_a_traversal_and_a_link_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack/items/items.jsonl", b"\0" * 10_000_000)
    with zipfile.ZipFile(tmp_path / "away.zip", "w") as archive:
        archive.writestr("pack/../../evil", b"x")
    for name in ("bomb.zip", "away.zip"):
        (problem,) = verify_item(str(tmp_path / name), "x").problems
        assert problem.file == name


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 100, 255, 256, 257])
def test_trees_of_every_size_are_those_of_the_rfc(tmp_path, count):
    items, claimed = written(tmp_path / "pack", count)
    pack = FolderPieces(str(tmp_path / "pack"))
    check_items(pack, claimed)
    leaves = [leaf_hash(item_line(item)) for item in items]
    root = bytes.fromhex(claimed["root_sha256"])
    nodes = lambda height, index: pack.piece(TREE, level_start(count, height) + 32 * index, 32)  # noqa: E731
    assert root == merkle.root(count, nodes) == root_of(leaves)
    for position in {0, count // 2, count - 1} & set(range(count)):
        assert tuple(inclusion_proof(pack, position, count)) == merkle.inclusion_path(position, count, nodes)
        assert id_of(proved(pack, position, count, root)) == items[position].id
        assert first_not_before(pack, count, items[position].id) == position
    assert first_not_before(pack, count, "zz") == count


def test_few_pieces_are_read_of_many_items(tmp_path):
    _, claimed = written(tmp_path / "pack", 5_000)
    pack = FolderPieces(str(tmp_path / "pack"))
    place = first_not_before(pack, 5_000, "it_04321")
    proved(pack, place, 5_000, bytes.fromhex(claimed["root_sha256"]))
    assert pack.pieces < 60
    assert pack.bytes < 40_000


def test_an_index_that_leads_elsewhere_is_found_by_the_whole_check(tmp_path):
    _, claimed = written(tmp_path / "pack", 5)
    offsets = tmp_path / "pack" / OFFSETS
    raw = offsets.read_bytes()
    offsets.write_bytes(raw[8:16] + raw[:8] + raw[16:])
    with pytest.raises(PackDefect, match="does not fit the items"):
        check_items(FolderPieces(str(tmp_path / "pack")), claimed)
    offsets.write_bytes(raw)
    with pytest.raises(PackDefect, match="holds other items than the manifest says"):
        check_items(FolderPieces(str(tmp_path / "pack")), claimed | {"count": 6})


def test_an_id_twice_or_an_item_without_a_spelling_is_refused(tmp_path):
    with pytest.raises(Corrupt, match="is in the review twice"):
        write_items(PackFolder(tmp_path / "a"), [SAMPLE[0], SAMPLE[0]])
    with pytest.raises(Corrupt, match="not finite"):
        write_items(PackFolder(tmp_path / "b"), [replace(SAMPLE[0], exposure_hours=float("inf"))])
    with pytest.raises(Corrupt, match="more than an item can have"):
        write_items(PackFolder(tmp_path / "c"), [replace(SAMPLE[0], purpose="x" * 2_000_000)])


def test_the_script_in_the_pack_proves_an_item(sealed, signer):
    command = [sys.executable, "-I", "-S", str(sealed.folder / "verify.py"), str(sealed.archive), "--key", signer.vkey]
    done = subprocess.run([*command, "--item", "it_0003"], capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == item_lines(verify_item(str(sealed.archive), "it_0003", signer.vkey))
    assert done.stdout.splitlines()[-1] == "PROVED   review-2026-q3.zip: it_0003, number 3 of 10 items"
    done = subprocess.run([*command, "--item", "nothing"], capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (3, "")
