"""Snapshots in a real store that speaks S3: whole or not at all, and what was collected or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lapse.domain.errors import Corrupt, Unavailable
from lapse.review.collection.snapshot import SnapshotWriter, file_sha256, load_snapshot
from lapse.review.collection.stored import fetch_snapshot, store_snapshot
from lapse.review.scope import ReviewScope, parse_period
from lapse.storage.s3 import S3Snapshots, parse_place
from support.s3_server import BUCKET, s3_server

NOW = datetime(2026, 10, 1, tzinfo=UTC)
DETECTOR = b"-- a detector of one's own"
STORING = """
import pathlib, sys
from lapse.review.collection.snapshot import load_snapshot
from lapse.review.collection.stored import store_snapshot
from lapse.storage.s3 import S3Snapshots, parse_place

url, endpoint, folder = sys.argv[1:]
store_snapshot(S3Snapshots(parse_place(url, endpoint)), "rev_1", load_snapshot(pathlib.Path(folder)), ())
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with s3_server() as server:
        yield server


@pytest.fixture
def store(server):
    return S3Snapshots(parse_place(f"s3://{BUCKET}/lapse", server.address))


@pytest.fixture
def snapshot(tmp_path):
    writer = SnapshotWriter(tmp_path / "made", ReviewScope(selector="all", period=parse_period("2026-Q3")), NOW)
    writer.begin("requests", "test")
    writer.begin("grants", "test")
    writer.detector("X1", DETECTOR)
    return writer.finish(())


def objects(server):
    import pyarrow.fs

    found = server.files().get_file_info(pyarrow.fs.FileSelector("lapse/rev_1", recursive=True, allow_not_found=True))
    return sorted(one.path.removeprefix("lapse/rev_1/") for one in found if one.is_file)


def replaced(server, name, data):
    with server.files().open_output_stream(f"lapse/rev_1/{name}") as out:
        out.write(data)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_snapshot_comes_back_as_it_was(server, store, snapshot, tmp_path):
    manifest = store_snapshot(store, "rev_1", snapshot, ())
    assert server.put()[-1] == f"lapse/rev_1/snapshot-{manifest}.json"
    fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert content(tmp_path / "back") == content(snapshot.folder)
    assert load_snapshot(tmp_path / "back").manifest == snapshot.manifest


def test_what_is_there_already_is_not_sent_again(server, store, snapshot):
    store_snapshot(store, "rev_1", snapshot, ())
    first = server.put()
    known = set(snapshot.manifest.hashes.values())
    replaced(server, "grants.parquet", b"cut off")
    server.calls.clear()
    store_snapshot(store, "rev_1", snapshot, known)
    assert "lapse/rev_1/requests.parquet" in first
    assert server.put() == ["lapse/rev_1/grants.parquet", "lapse/rev_1/detectors/X1.sql", first[-1]]


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("name", ["requests.parquet", ".json"])
def test_what_failed_is_done_again(server, store, snapshot, tmp_path, name, applied):
    server.fail(name, applied=applied)
    with pytest.raises(Unavailable):
        store_snapshot(store, "rev_1", snapshot, ())
    server.heal()
    manifest = store_snapshot(store, "rev_1", snapshot, ())
    fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert content(tmp_path / "back") == content(snapshot.folder)


def test_half_a_snapshot_has_no_manifest(server, store, snapshot, tmp_path):
    server.hold("reconciliations.parquet")
    url = f"s3://{BUCKET}/lapse"
    process = subprocess.Popen([sys.executable, "-c", STORING, url, server.address, snapshot.folder])
    assert server.held.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [name for name in objects(server) if name.endswith(".json")] == []
    manifest = file_sha256(Path(snapshot.folder) / "snapshot.json")
    with pytest.raises(Corrupt, match=rf"`s3://{BUCKET}/lapse/rev_1/snapshot-{manifest}.json` is not there any more"):
        fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    server.heal()
    assert store_snapshot(store, "rev_1", snapshot, ()) == manifest
    fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert content(tmp_path / "back") == content(snapshot.folder)


@pytest.mark.parametrize("name", ["requests.parquet", "detectors/X1.sql", "snapshot-{}.json"])
def test_an_object_that_was_changed_is_refused_by_its_name(server, store, snapshot, tmp_path, name):
    manifest = store_snapshot(store, "rev_1", snapshot, ())
    changed = name.format(manifest)
    replaced(server, changed, b"{}")
    with pytest.raises(Corrupt, match=rf"`s3://{BUCKET}/lapse/rev_1/{changed}` is not what was collected"):
        fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert list(tmp_path.glob("back*")) == []


def test_an_object_that_is_gone_is_refused_by_its_name(server, store, snapshot, tmp_path):
    manifest = store_snapshot(store, "rev_1", snapshot, ())
    server.files().delete_file("lapse/rev_1/grants.parquet")
    with pytest.raises(Corrupt, match=r"rev_1/grants.parquet` is not there any more"):
        fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")


@pytest.mark.parametrize(
    "file", ["../grants.parquet", "/etc/passwd", "requests.parquet", "snapshot.json", "a/b.parquet"]
)
def test_a_manifest_with_a_name_that_leads_elsewhere_is_refused(store, snapshot, tmp_path, file):
    manifest = hostile(store, snapshot, tmp_path, lambda data: table(data, "grants").update(file=file))
    with pytest.raises(Corrupt, match="which is none of its files"):
        fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["../X1", "a/b", "", ".x", "x\n"])
def test_a_detector_with_a_name_that_leads_elsewhere_is_refused(store, snapshot, tmp_path, name):
    manifest = hostile(store, snapshot, tmp_path, lambda data: data.update(detectors={name: "0" * 64}))
    with pytest.raises(Corrupt, match="which is none of its files"):
        fetch_snapshot(store, "rev_1", manifest, tmp_path / "back")


def test_a_file_that_was_changed_before_it_was_sent_is_refused(server, store, snapshot):
    Path(snapshot.folder, "grants.parquet").write_bytes(b"something else")
    with pytest.raises(Corrupt, match=r"grants.parquet` is not the file that was collected"):
        store_snapshot(store, "rev_1", snapshot, ())
    assert not any(name.endswith(".json") for name in objects(server))


def test_a_snapshot_here_with_a_name_that_leads_elsewhere_is_refused(snapshot, tmp_path):
    Path(tmp_path, "grants.parquet").write_bytes(Path(snapshot.folder, "grants.parquet").read_bytes())
    path = Path(snapshot.folder, "snapshot.json")
    data = json.loads(path.read_text())
    table(data, "grants").update(file="../grants.parquet")
    path.write_text(json.dumps(data))
    with pytest.raises(Corrupt, match="is not the file that was collected"):
        load_snapshot(Path(snapshot.folder))


def table(data, name):
    return next(one for one in data["tables"] if one["table"] == name)


def hostile(store, snapshot, tmp_path, change):
    """The hash of a changed manifest that is in the store, as if it were the one on record."""
    data = json.loads(Path(snapshot.folder, "snapshot.json").read_text())
    change(data)
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(data))
    sha256 = file_sha256(path)
    store.put(f"rev_1/snapshot-{sha256}.json", path)
    return sha256
