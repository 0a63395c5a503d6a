"""Sealing is all or nothing: killed, out of space, raced or fed with changed evidence, no half pack appears."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from lapse.domain.errors import Conflict, Corrupt, InvalidInput, Unavailable
from lapse.review.pack import verify_pack
from lapse.review.seal import seal
from support.sample_review import sample_contents

TESTS = Path(__file__).parents[2]


@pytest.fixture
def contents(tmp_path, signer):
    return sample_contents(tmp_path / "snapshot", signer)


def test_the_same_review_sealed_twice_gives_the_same_bytes(contents, signer, tmp_path):
    first = seal(contents, signer=signer, into=tmp_path / "a")
    second = seal(contents, signer=signer, into=tmp_path / "b")
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.manifest_sha256 == second.manifest_sha256


def test_a_pack_holds_what_an_auditor_needs(sealed):
    names = {item.path for item in sealed.files}
    assert names >= {
        "README.txt", "verify.py", "report.html", "review.json", "findings.json", "findings.csv", "items.csv",
        "keys/signer.vkey", "ledger/checkpoint", "ledger/proofs.json", "policy/index.json", "tables/grants.parquet",
    }  # fmt: skip
    review = json.loads((sealed.folder / "review.json").read_bytes())
    assert review["result"]["snapshot"]["folder"] == "tables"
    index = json.loads((sealed.folder / "policy/index.json").read_bytes())
    files = index["policies"][0]["files"]
    assert set(files.values()) == {"prod.yaml", "../odd name.yaml"}
    assert all((sealed.folder / path).is_file() for path in files)


def test_nobody_else_on_the_machine_can_read_a_pack(sealed):
    assert sealed.folder.stat().st_mode & 0o077 == 0
    assert sealed.archive.stat().st_mode & 0o077 == 0


def test_a_review_without_a_ledger_says_so(contents, signer, tmp_path):
    sealed = seal(replace(contents, ledger=None, policies=()), signer=signer, into=tmp_path / "sealed")
    assert verify_pack(str(sealed.archive), signer.vkey).ok
    assert "this review was made without one" in (sealed.folder / "report.html").read_text()


def test_a_sealed_pack_is_never_overwritten(contents, signer, tmp_path):
    seal(contents, signer=signer, into=tmp_path / "sealed")
    with pytest.raises(Conflict, match="never overwritten"):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    assert hidden(tmp_path) == []


def test_evidence_that_changed_since_it_was_collected_is_not_sealed(contents, signer, tmp_path):
    with (tmp_path / "snapshot" / "grants.parquet").open("ab") as table:
        table.write(b"\0")
    with pytest.raises(Corrupt, match="evidence table `grants` cannot be sealed: its file was changed"):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    assert nothing_at(tmp_path / "sealed")


def test_evidence_that_is_gone_or_elsewhere_is_not_sealed(contents, signer, tmp_path):
    grants = tmp_path / "snapshot" / "grants.parquet"
    grants.rename(tmp_path / "elsewhere")
    with pytest.raises(Corrupt, match="its file is gone"):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    grants.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt, match="not in the snapshot's folder"):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    assert nothing_at(tmp_path / "sealed")


def test_a_number_that_json_cannot_say_is_refused(contents, signer, tmp_path):
    odd = replace(contents.result.audit.exposure[0], used_hours=float("nan"))
    result = replace(contents.result, audit=replace(contents.result.audit, exposure=(odd,)))
    with pytest.raises(Corrupt, match="not finite"):
        seal(replace(contents, result=result), signer=signer, into=tmp_path / "sealed")
    assert nothing_at(tmp_path / "sealed")


def test_a_signer_whose_signatures_are_wrong_seals_nothing(contents, signer, tmp_path):
    class Broken:
        name, public_key = signer.name, signer.public_key

        def sign(self, message):
            return b"\0" * 64

    with pytest.raises(Corrupt, match="the finished pack does not verify"):
        seal(contents, signer=Broken(), into=tmp_path / "sealed")
    assert nothing_at(tmp_path / "sealed")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "ä", "x" * 200])
def test_a_name_that_cannot_be_a_folders_is_refused(contents, signer, tmp_path, name):
    with pytest.raises(InvalidInput, match="cannot be the name of a pack"):
        seal(replace(contents, name=name), signer=signer, into=tmp_path / "sealed")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full: the pack could not be written to"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "read-only file system"),
        (errno.EIO, "input/output error"),
    ],
)
def test_a_full_or_failing_disk_gives_a_sentence_and_leaves_nothing(
    contents, signer, tmp_path, monkeypatch, number, sentence
):
    calls = iter(range(1000))

    def fsync(handle, real=os.fsync):
        if next(calls) == 7:
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Unavailable, match=sentence):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    assert nothing_at(tmp_path / "sealed")


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from lapse.review.seal import seal
from support.sample_review import SampleSigner, sample_contents

def stop(*_):
    os.kill(os.getpid(), 9)

{fault}
place = Path({place!r})
seal(sample_contents(place / "snapshot"), signer=SampleSigner(), into=place / "sealed")
"""

FAULTS = {
    "while files are written": "import lapse.review.seal as s; s.render_report = stop",
    "before the zip": "from lapse.review.pack.folder import PackFolder; PackFolder.write_zip = stop",
    "before it is verified": "import lapse.review.seal as s; s._check = stop",
    "before the rename": "Path.rename = stop",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_killed_in_the_middle_nothing_is_there_and_the_next_attempt_succeeds(fault, contents, signer, tmp_path):
    program = KILLED.format(tests=str(TESTS), fault=FAULTS[fault], place=str(tmp_path))
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert not (tmp_path / "sealed").exists()
    assert len(hidden(tmp_path)) == 1
    sealed = seal(contents, signer=signer, into=tmp_path / "sealed")
    assert verify_pack(str(sealed.archive), signer.vkey).ok
    assert hidden(tmp_path) == []


def test_an_attempt_that_is_still_at_work_is_left_alone(contents, signer, tmp_path):
    at_work = tmp_path / ".sealed.sealing-other"
    at_work.mkdir()
    handle = os.open(at_work, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(Conflict, match="is being sealed by another process"):
        seal(contents, signer=signer, into=tmp_path / "sealed")
    os.close(handle)
    assert at_work.exists()


def test_the_zip_and_the_folder_say_the_same(sealed):
    with zipfile.ZipFile(sealed.archive) as archive:
        for info in archive.infolist():
            assert archive.read(info) == (sealed.folder.parent / info.filename).read_bytes()


def hidden(place):
    return [path.name for path in place.iterdir() if path.name.startswith(".")]


def nothing_at(place):
    return not place.exists() and hidden(place.parent) == []
