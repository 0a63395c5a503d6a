"""The pseudonymised pack: no name and no written text is in any of its files, and it says what it is."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import replace
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest

from lapse.domain.errors import Corrupt
from lapse.domain.reviews import ItemDecision, ItemVote, Line, Reviewers
from lapse.review.collection.snapshot import file_sha256
from lapse.review.model import Coverage, TableManifest
from lapse.review.pack import report_lines, verify_pack
from lapse.review.pack.reading import sealed_contents
from lapse.review.privacy import pseudonymised
from lapse.review.seal import seal
from support.sample_review import ITEMS, MADE, SampleSigner, sample_contents

KEY = b"\x07" * 32
NAMES = (
    "olga.petrova",
    "Olga Petrova",
    "olga@example.com",
    "mallory.kline",
    "mkline",
    "198.51.100.7",
    "tmp_migration2",
)
WRITTEN = (
    "my mother is ill",
    "break-glass account until December",
    "ended long ago",
    "nightly backup",
    "weekly figures",
)


@pytest.fixture(scope="module")
def signer():
    return SampleSigner()


@pytest.fixture(scope="module")
def original(tmp_path_factory, signer):
    place = tmp_path_factory.mktemp("original")
    contents = sample_contents(place / "snapshot", signer)
    return seal(with_people(contents, place / "snapshot"), signer=signer, into=place / "sealed")


def with_people(contents, folder):
    """The sample with tables of people and requests, and an item that somebody voted on."""
    rows = {
        "principals": {
            "principal": ["olga.petrova", "mallory.kline"],
            "display_name": ["Olga Petrova", None],
            "email": ["olga@example.com", None],
            "title": ["Head of Billing", None],
            "department": ["billing", None],
            "a_new_column": ["my mother is ill", None],
        },
        "accounts": {
            "resource": ["pg-prod", "pg-prod"],
            "account": ["mkline", "writer"],
            "principal": ["mallory.kline", None],
            "can_login": [True, False],
        },
        "usage": {"account": ["mkline"], "address": ["198.51.100.7"], "action": ["SELECT"], "object": ["invoices"]},
        "requests": {
            "request_id": ["req_1"],
            "requester": ["olga.petrova"],
            "justification": ["my mother is ill"],
            "ticket": ["INC-4127"],
        },
    }
    tables = [t for t in contents.result.snapshot.manifest.tables if t.table not in rows]
    for name, columns in rows.items():
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        tables.append(
            TableManifest(
                table=name, coverage=Coverage.COMPLETE, file=path.name, rows=1, sha256=file_sha256(path), source="lapse"
            )
        )
    result = contents.result
    vote = ItemVote(decision=ItemDecision.KEEP, by="olga.petrova", at=MADE, reason="my mother is ill")
    item = replace(ITEMS[0], votes=(vote,), asked=(Reviewers(line=Line.OWNER, persons=("mallory.kline",)),))
    snapshot = replace(result.snapshot, manifest=replace(result.snapshot.manifest, tables=tuple(tables)))
    return replace(contents, result=replace(result, snapshot=snapshot, items=(item, *ITEMS[1:])))


@pytest.fixture(scope="module")
def export(original, signer, tmp_path_factory):
    place = tmp_path_factory.mktemp("export")
    contents, manifest = sealed_contents(original.folder, signer.vkey, "olga.petrova", "0.1.0")
    assert manifest == original.manifest_sha256
    return seal(pseudonymised(contents, KEY, manifest, place / "work"), signer=signer, into=place / "sealed")


def texts_of(folder):
    """Every file as text, those that are packed unpacked."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            yield path, json.dumps(pq.read_table(path).to_pylist(), default=str)
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as book:
                yield path, "\n".join(book.read(name).decode() for name in book.namelist())
        elif path.suffix == ".pdf":
            text = " ".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(path.read_bytes())).pages)
            yield path, re.sub(r"\s+|\u200b", " ", text)
        else:
            yield path, path.read_bytes().decode("utf-8", "replace")


def test_the_original_holds_all_of_it(original):
    together = "\n".join(text for _, text in texts_of(original.folder))
    for word in (*NAMES, *WRITTEN, "Head of Billing"):
        assert word in together


def test_no_name_and_nothing_that_was_written_is_in_any_file(export):
    for path, text in texts_of(export.folder):
        for word in (*NAMES, *WRITTEN, "Head of Billing"):
            assert word not in text, path


def test_it_verifies_and_says_what_it_is(export, original, signer):
    outcome = verify_pack(str(export.archive), signer.vkey)
    assert outcome.problems == []
    assert "export     pseudonymised: this is not the original pack" in "\n".join(report_lines(outcome)).replace(
        "  ex", "ex"
    )
    assert outcome.manifest["export"]["of_manifest_sha256"] == original.manifest_sha256
    assert outcome.manifest["ledger"]["entries"] == 0
    readme = (export.folder / "README.txt").read_text()
    assert "THIS IS NOT THE ORIGINAL" in readme
    assert original.manifest_sha256 in readme
    assert "(pseudonymised)" in (export.folder / "report.html").read_text()
    assert not (export.folder / "policy").exists()


def test_one_person_has_one_pseudonym_everywhere(export):
    (first,) = {row["principal"] for row in rows_of(export, "accounts") if row["principal"]}
    items = [json.loads(line) for line in (export.folder / "items/items.jsonl").read_bytes().splitlines()]
    assert {i["principal"] for i in items if i["role"] == "writer"} == {first}
    assert any(i["asked"] and i["asked"][0]["persons"] == [first] for i in items)
    assert first in (export.folder / "report.html").read_text()


def test_roles_and_facts_stay_readable(export):
    accounts = rows_of(export, "accounts")
    assert accounts[1]["account"] == "writer"
    (request,) = rows_of(export, "requests")
    assert (request["ticket"], request["justification"]) == ("INC-4127", None)
    (use,) = rows_of(export, "usage")
    assert use["action"] == "SELECT"
    assert use["address"].startswith("address-")
    assert rows_of(export, "principals")[0]["a_new_column"] is None


def rows_of(sealed, table):
    return pq.read_table(sealed.folder / f"tables/{table}.parquet").to_pylist()


def test_fingerprints_cannot_be_tried_with_names(export, original):
    before = {f["fingerprint"] for f in json.loads((original.folder / "findings.json").read_bytes())["findings"]}
    after = json.loads((export.folder / "findings.json").read_bytes())["findings"]
    assert not before & {f["fingerprint"] for f in after}
    linked = {name for line in (export.folder / "items/items.jsonl").read_bytes().splitlines()
              for name in json.loads(line)["findings"]}  # fmt: skip
    assert linked <= {f["fingerprint"] for f in after}


def test_the_same_key_gives_the_same_export(original, signer, tmp_path, export):
    contents, manifest = sealed_contents(original.folder, signer.vkey, "olga.petrova", "0.1.0")
    again = seal(pseudonymised(contents, KEY, manifest, tmp_path / "work"), signer=signer, into=tmp_path / "again")
    assert again.archive.read_bytes() == export.archive.read_bytes()
    other = pseudonymised(contents, b"\x08" * 32, manifest, tmp_path / "work2")
    assert (
        other.result.items[0].principal
        != json.loads((export.folder / "items/items.jsonl").read_bytes().splitlines()[0])["principal"]
    )


def test_a_pack_that_was_changed_is_not_exported(original, signer, tmp_path):
    copy = shutil.copytree(original.folder, tmp_path / "copy")
    (copy / "items.csv").write_bytes(b"")
    with pytest.raises(Corrupt, match=r"the sealed pack does not verify: `items.csv`"):
        sealed_contents(copy, signer.vkey, "x", "0")
    with pytest.raises(Corrupt, match="does not verify"):
        sealed_contents(original.folder, SampleSigner(b"x" * 32).vkey, "x", "0")


def test_what_is_read_back_is_what_was_sealed(original, signer):
    contents, _ = sealed_contents(original.folder, signer.vkey, "x", "0")
    assert [i.id for i in contents.result.items] == sorted(i.id for i in ITEMS)
    assert {f.fingerprint for f in contents.result.findings}
    assert contents.sealed_at == MADE
