"""Verification of a pack: nothing can be changed unseen, the changed file is named, and nothing ever crashes it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.ledger.checkpoint import key_of
from lapse.review.pack import report_lines, verify_pack
from lapse.review.pack.documents import ManifestClaims, manifest_document, signed
from lapse.review.pack.standalone_container import PackDefect, ZipPack, directory, local_header
from lapse.review.pack.standalone_manifest import FileEntry, spelled
from support.sample_review import MADE, SampleSigner

FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def blamed(path, key=None):
    return {problem.file for problem in verify_pack(str(path), key).problems}


def test_a_sealed_pack_is_verified_as_folder_and_as_zip(sealed, signer):
    for path in (sealed.folder, sealed.archive):
        outcome = verify_pack(str(path), signer.vkey)
        assert outcome.ok
        assert outcome.manifest_sha256 == sealed.manifest_sha256
        assert outcome.files == len(sealed.files)
        assert outcome.entries_proved == 14


def test_without_a_trusted_key_it_says_that_only_integrity_is_shown(sealed, signer):
    alone = "\n".join(report_lines(verify_pack(str(sealed.folder))))
    assert "the pack's own: this shows that nothing changed since it was signed, not who signed it" in alone
    trusted = "\n".join(report_lines(verify_pack(str(sealed.folder), signer.vkey)))
    assert "the one you trust: integrity and origin are checked" in trusted


def test_a_pack_signed_by_somebody_else_is_refused_under_the_trusted_key(sealed):
    other = SampleSigner(b"x" * 32)
    assert "keys/signer.vkey" in blamed(sealed.folder, other.vkey)
    assert blamed(sealed.folder, "not a key") == {"--key"}


def test_every_file_that_is_changed_is_named(sealed, folder):
    for item in [*sealed.files, FileEntry("manifest.json", 1, ""), FileEntry("manifest.dsse.json", 1, "")]:
        path = folder / item.path
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert item.path in blamed(folder)
        path.write_bytes(before[:-1])
        assert item.path in blamed(folder)
        path.unlink()
        assert item.path in blamed(folder)
        path.write_bytes(before)
    assert verify_pack(str(folder)).ok


def test_an_added_file_is_named(folder):
    (folder / "tables" / "more.parquet").write_bytes(b"x")
    (problem,) = verify_pack(str(folder)).problems
    assert problem == ("tables/more.parquet", "is not in the manifest: it was added")


def test_files_that_are_swapped_are_both_named(folder):
    grants, requests = folder / "tables/grants.parquet", folder / "tables/requests.parquet"
    shutil.move(grants, folder / "x")
    shutil.move(requests, grants)
    shutil.move(folder / "x", requests)
    assert blamed(folder) == {"tables/grants.parquet", "tables/requests.parquet"}


def test_a_manifest_that_is_made_to_fit_a_change_has_no_signature(folder, sealed, signer):
    (folder / "items.csv").write_bytes(b"nothing to see\r\n")
    forger = SampleSigner(b"f" * 32)
    reseal(folder, sealed, forger, own_key=signer)
    assert "manifest.dsse.json" in blamed(folder)


def test_a_pack_resealed_with_a_forged_key_fails_under_the_trusted_key(folder, sealed, signer):
    forger = SampleSigner(b"f" * 32)
    (folder / "keys/signer.vkey").write_text(forger.vkey + "\n")
    reseal(folder, sealed, forger, own_key=forger)
    assert "keys/signer.vkey" in blamed(folder, signer.vkey)
    assert "ledger/proofs.json" in blamed(folder)  # the forger has no ledger signed with that key


def reseal(folder, sealed, forger, own_key):
    """What an attacker does: recompute every hash, and sign."""
    files = []
    for item in sealed.files:
        body = (folder / item.path).read_bytes()
        files.append(FileEntry(item.path, len(body), hashlib.sha256(body).hexdigest()))
    before = json.loads((folder / "manifest.json").read_bytes())
    claims = ManifestClaims(key=key_of(own_key), sealed_at=MADE, ledger=before["ledger"], items=before["items"])
    manifest = manifest_document(sealed.folder.name, files, claims)
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "manifest.dsse.json").write_bytes(signed(manifest, forger))


def test_a_proof_that_does_not_hold_is_named_even_if_the_manifest_was_signed_over_it(folder, sealed, signer):
    proofs = json.loads((folder / "ledger/proofs.json").read_bytes())
    proofs["entries"][3]["body"] = proofs["entries"][3]["body"].replace("gr_0009", "gr_0008")
    (folder / "ledger/proofs.json").write_text(json.dumps(proofs))
    reseal(folder, sealed, signer, own_key=signer)
    (problem,) = verify_pack(str(folder), signer.vkey).problems
    assert problem == ("ledger/proofs.json", "does not hold: entry 9 is not proved to be in the ledger")


def test_a_manifest_that_names_another_checkpoint_is_refused(folder, sealed, signer):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"ledger": manifest["ledger"] | {"checkpoint_size": 41}})
    )
    reseal(folder, sealed, signer, own_key=signer)
    (problem,) = verify_pack(str(folder), signer.vkey).problems
    assert problem.file == "manifest.dsse.json"
    assert "another ledger checkpoint" in problem.problem


def test_a_pack_under_a_hostile_name_does_nothing_to_a_terminal(tmp_path):
    path = tmp_path / "bad\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}.zip"
    path.write_bytes(b"no zip")
    assert all(line.isprintable() and line.isascii() for line in report_lines(verify_pack(str(path))))


@pytest.mark.parametrize("path", ["/nonexistent/pack.zip", "/dev/null", "/etc", "/"])
def test_what_is_no_pack_gives_a_sentence(path):
    (problem,) = verify_pack(path).problems
    assert problem.problem


def contents_at(raw: bytes) -> list[tuple[range, str]]:
    """Where in a zip the contents of each file are."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        places = []
        for info in archive.infolist():
            start = info.header_offset + 30 + len(info.filename)
            places.append((range(start, start + info.file_size), info.filename.partition("/")[2]))
        return places


@FUZZ
@given(data=st.data())
def test_any_flipped_byte_of_a_zip_is_found_and_its_file_named(sealed, archive, data):
    raw = bytearray(sealed.archive.read_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(raw)
    where = next((name for place, name in contents_at(sealed.archive.read_bytes()) if position in place), archive.name)
    assert where in blamed(archive)


def test_any_flipped_byte_between_the_files_is_found(sealed, archive):
    """All of them: headers, directory and end record."""
    raw = sealed.archive.read_bytes()
    inside = set().union(*(place for place, _ in contents_at(raw)))
    with archive.open("r+b") as file:
        for position in sorted(set(range(len(raw))) - inside):
            change(file, position, raw[position] ^ 1 << position % 8)
            with pytest.raises(PackDefect) as caught:
                ZipPack(str(archive))
            assert caught.value.file == archive.name, position
            change(file, position, raw[position])
    assert verify_pack(str(archive)).ok


def change(file, position, byte):
    file.seek(position)
    file.write(bytes([byte]))
    file.flush()


@FUZZ
@given(data=st.data())
def test_any_truncated_zip_is_found(sealed, archive, data):
    raw = sealed.archive.read_bytes()
    archive.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    assert archive.name in blamed(archive)


@FUZZ
@given(data=st.data())
def test_any_flipped_byte_of_the_signed_documents_is_found(sealed, folder, data):
    name = data.draw(st.sampled_from(["manifest.json", "manifest.dsse.json", "keys/signer.vkey", "ledger/checkpoint"]))
    raw = bytearray((sealed.folder / name).read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(raw)
    assert name in blamed(folder)
    (folder / name).write_bytes((sealed.folder / name).read_bytes())


@pytest.mark.parametrize("name", ["ledger", "key", "pack", "files", "sealed_at", "evidence_sha256", "format"])
def test_a_manifest_that_lacks_a_member_is_no_manifest(sealed, folder, signer, name):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest[name]
    (folder / "manifest.dsse.json").write_bytes(signed(spelled(manifest), signer))
    assert "manifest.dsse.json" in blamed(folder)


def test_a_zip_whose_every_checksum_was_made_to_fit_is_still_found(sealed, archive):
    """A changed file in a container that is right in itself."""
    body, members, offset = b"", [], 0
    for path in sorted([*(f.path for f in sealed.files), "manifest.json", "manifest.dsse.json"]):
        contents = (sealed.folder / path).read_bytes()
        if path == "items.csv":
            contents = contents.replace(b"revoke", b"keep..")
        name = f"{sealed.folder.name}/{path}"
        header = local_header(name, len(contents), zlib.crc32(contents))
        members.append((name, offset, len(contents), zlib.crc32(contents)))
        body, offset = body + header + contents, offset + len(header) + len(contents)
    archive.write_bytes(body + directory(members))
    assert blamed(archive) == {"items.csv"}
