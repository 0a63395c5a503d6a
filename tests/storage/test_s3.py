"""Objects in S3: put, read and measured over HTTP at a real server, and what its faults are said to be."""

from __future__ import annotations

import re

import pytest
import trustme

from lapse.domain.errors import InvalidInput, NotFound, Unavailable
from lapse.storage.s3 import S3Place, S3Snapshots, parse_place
from support.s3_server import BUCKET, s3_server

SECRET = "only-the-environment-knows-4711"


@pytest.fixture(scope="module")
def server():
    with s3_server() as server:
        yield server


@pytest.fixture
def store(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    yield S3Snapshots(parse_place(f"s3://{BUCKET}/lapse/prod", server.address))
    server.heal()


@pytest.mark.parametrize("size", [0, 1, 9 << 20])
def test_what_was_put_comes_back_from_below_the_prefix(server, store, tmp_path, size):
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    store.put(f"rev_1/{size}", sent)
    store.put(f"rev_1/{size}", sent)
    assert store.size(f"rev_1/{size}") == size
    store.get(f"rev_1/{size}", got)
    assert got.read_bytes() == sent.read_bytes()
    assert server.files().get_file_info(f"lapse/prod/rev_1/{size}").size == size
    assert store.place(f"rev_1/{size}") == f"s3://{BUCKET}/lapse/prod/rev_1/{size}"


def test_what_is_not_there_has_no_size(store, tmp_path):
    assert store.size("rev_1/none") is None
    with pytest.raises(NotFound, match=r"no such object: .*lapse/prod/rev_1/none"):
        store.get("rev_1/none", tmp_path / "got")


@pytest.mark.parametrize("applied", [False, True])
def test_a_put_that_fails_may_have_been_applied_and_is_done_again(server, store, tmp_path, applied):
    sent, name = tmp_path / "sent", f"rev_1/failing-{applied}"
    sent.write_bytes(b"evidence")
    server.fail(name, applied=applied)
    with pytest.raises(
        Unavailable, match=r"the store of snapshots at http://127\.0\.0\.1:.* refuses: .*HTTP status 500"
    ):
        store.put(name, sent)
    server.heal()
    assert (store.size(name) is not None) is applied
    store.put(name, sent)
    assert store.size(name) == len(b"evidence")


def test_a_store_that_is_away_is_said_without_the_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    away = S3Snapshots(parse_place("s3://evidence", "http://127.0.0.1:9"))
    (tmp_path / "sent").write_bytes(b"x")
    for ask in (
        lambda: away.put("a", tmp_path / "sent"),
        lambda: away.size("a"),
        lambda: away.get("a", tmp_path / "x"),
    ):
        with pytest.raises(
            Unavailable, match=r"the store of snapshots at http://127\.0\.0\.1:9 cannot be reached: "
        ) as caught:
            ask()
        assert "`snapshots_endpoint`" in caught.value.hint
        assert SECRET not in caught.value.message + caught.value.hint + repr(away.__dict__)


def test_who_asks_may_be_in_a_file(server, store, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "who").write_text(f"[reviews]\naws_access_key_id = AKIAFILE\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "who"))
    monkeypatch.setenv("AWS_PROFILE", "reviews")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    server.who.clear()
    assert store.size("rev_1/none") is None
    assert [re.search(r"Credential=(\w+)/\d+/([\w-]+)/", who).groups() for who in server.who] == [
        ("AKIAFILE", "eu-central-1")
    ] * len(server.who)
    assert server.who


def test_an_authority_of_ones_own_is_trusted_where_it_is_named(store, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "sent").write_bytes(b"evidence")
    store.put("rev_1/tls", tmp_path / "sent")
    with s3_server(authority.issue_cert("127.0.0.1")) as server:
        place = parse_place(f"s3://{BUCKET}/lapse/prod", server.address)
        with pytest.raises(Unavailable, match=r"(?i)certificate|ssl"):
            S3Snapshots(place).size("rev_1/tls")
        assert server.calls == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        assert S3Snapshots(place).size("rev_1/tls") == len(b"evidence")


def test_a_bucket_that_is_none_is_said(server, store, tmp_path):
    (tmp_path / "sent").write_bytes(b"x")
    nowhere = S3Snapshots(parse_place("s3://nowhere", server.address))
    with pytest.raises(Unavailable, match=r"(?i)bucket"):
        nowhere.put("a", tmp_path / "sent")


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "a/.", ".a", "a b", "a\\b", "a?b"])
def test_a_name_that_leads_elsewhere_is_refused(store, tmp_path, name):
    with pytest.raises(InvalidInput, match="not the name of an object"):
        store.get(name, tmp_path / "got")


def test_places():
    assert parse_place("s3://evidence") == S3Place(bucket="evidence")
    assert parse_place("s3://evidence/a/b/", "https://s3.example.com:9000/") == S3Place(
        bucket="evidence", prefix="a/b", endpoint="https://s3.example.com:9000"
    )


@pytest.mark.parametrize(
    "url",
    ["evidence", "s3:/x", "s3://", "s3://E", "s3://a", "s3://evidence/../x", "s3://evidence/a//b", "s3://k:s@evidence"],
)
def test_a_place_that_is_none_is_refused(url):
    with pytest.raises(InvalidInput, match="is no place in S3"):
        parse_place(url)


@pytest.mark.parametrize(
    "endpoint", ["x", "ftp://x", "http://", "https://k:s@x", "https://x/y", "https://x?y", "http://x:y"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(InvalidInput, match="is no endpoint of S3"):
        parse_place("s3://evidence", endpoint)
