"""Time stamps by a real authority (openssl ts behind HTTP on this machine): asked for, checked, kept, and missed."""

from __future__ import annotations

import json
import shutil
import urllib.request

import pytest

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.review.pack import report_lines, verify_pack
from lapse.review.pack.stamping import StampingSigner, check_stamp
from lapse.review.pack.standalone_timestamp import STAMP, read_stamp
from lapse.review.seal import seal
from support.sample_review import SampleSigner, sample_contents
from support.time_stamps import Authority, serving

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "authority")


@pytest.fixture(scope="module")
def url(authority):
    with serving(authority) as address:
        yield address


@pytest.fixture(scope="module")
def ask(url):
    def post(request):
        with urllib.request.urlopen(urllib.request.Request(url, data=request)) as response:  # noqa: S310
            return response.read()

    return post


@pytest.fixture(scope="module")
def stamped(tmp_path_factory, authority, ask):
    place = tmp_path_factory.mktemp("stamped")
    signer = StampingSigner(SampleSigner(), ask, lambda: authority.roots)
    return seal(sample_contents(place / "snapshot"), signer=signer, into=place / "sealed")


def test_a_stamped_pack_says_when_and_what_it_does_not_check(stamped, signer):
    for path in (stamped.folder, stamped.archive):
        outcome = verify_pack(str(path), signer.vkey)
        assert outcome.problems == []
        lines = "\n".join(report_lines(outcome))
        assert f"time stamp {outcome.stamped_at} over the manifest" in lines
        assert "the authority's signature is not checked here" in lines
    manifest = json.loads((stamped.folder / "manifest.json").read_bytes())
    assert manifest["time_stamp"] == STAMP
    assert STAMP not in {item["path"] for item in manifest["files"]}


def test_openssl_verifies_the_stamp_as_the_verifier_says(stamped, authority):
    done = authority.verifies(stamped.folder / STAMP, stamped.folder / "manifest.json")
    assert done.returncode == 0, done.stderr
    assert authority.verifies(stamped.folder / STAMP, stamped.folder / "README.txt").returncode


def test_the_hash_in_the_stamp_is_the_manifests(stamped):
    stamp = read_stamp((stamped.folder / STAMP).read_bytes())
    assert stamp.sha256 == stamped.manifest_sha256


def test_lapse_checks_the_authoritys_signature(stamped, authority):
    response, manifest = (stamped.folder / STAMP).read_bytes(), (stamped.folder / "manifest.json").read_bytes()
    check_stamp(response, manifest, authority.roots)
    with pytest.raises(InvalidInput, match="cannot be believed"):
        check_stamp(response, manifest + b"x", authority.roots)
    with pytest.raises(InvalidInput, match="cannot be read"):
        check_stamp(response, manifest, b"no certificate")


def test_another_root_is_not_believed(stamped, tmp_path, ask):
    other = Authority(tmp_path / "other")
    response, manifest = (stamped.folder / STAMP).read_bytes(), (stamped.folder / "manifest.json").read_bytes()
    with pytest.raises(InvalidInput, match="cannot be believed"):
        check_stamp(response, manifest, other.roots)
    signer = StampingSigner(SampleSigner(), ask, lambda: other.roots)
    with pytest.raises(Unavailable, match="answer cannot be believed"):
        seal(sample_contents(tmp_path / "snapshot"), signer=signer, into=tmp_path / "sealed")
    assert not (tmp_path / "sealed").exists()


def test_an_answer_to_another_request_is_not_believed(stamped, authority, tmp_path):
    old = (stamped.folder / STAMP).read_bytes()
    signer = StampingSigner(SampleSigner(), lambda _request: old, lambda: authority.roots)
    with pytest.raises(Unavailable, match="cannot be believed"):
        seal(sample_contents(tmp_path / "snapshot"), signer=signer, into=tmp_path / "sealed")


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\x30\x03\x02\x01\x02", b"\x30\x80"])
def test_what_is_no_answer_gives_a_sentence(authority, tmp_path, answer):
    signer = StampingSigner(SampleSigner(), lambda _request: answer, lambda: authority.roots)
    with pytest.raises(Unavailable, match="cannot be believed"):
        signer.stamp(b"manifest")


def test_a_stamp_that_is_missing_swapped_or_added_is_named(stamped, sealed, tmp_path, signer, authority):
    for number, (change, problem) in enumerate(
        [
            (lambda path: path.unlink(), "is missing: the manifest says that there is a time stamp"),
            (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is no time stamp that can be read"),
            (lambda path: path.write_bytes(b"\x30\x00"), "is no time stamp that can be read"),
        ]
    ):
        folder = shutil.copytree(stamped.folder, tmp_path / f"copy-{number}")
        change(folder / STAMP)
        (found,) = verify_pack(str(folder), signer.vkey).problems
        assert found.file == STAMP
        assert problem in found.problem
    other = StampingSigner(SampleSigner(), authority.answer, lambda: authority.roots).stamp(b"something else")
    folder = shutil.copytree(stamped.folder, tmp_path / "swapped")
    (folder / STAMP).write_bytes(other)
    assert [p.problem for p in verify_pack(str(folder)).problems] == ["stamps another hash than the manifest's"]
    folder = shutil.copytree(sealed.folder, tmp_path / "added")
    (folder / STAMP).write_bytes(other)
    assert [p.problem for p in verify_pack(str(folder)).problems] == ["is not in the manifest: it was added"]


def test_any_cut_stamp_is_refused_in_a_sentence(stamped):
    raw = (stamped.folder / STAMP).read_bytes()
    for end in range(0, len(raw), 7):
        with pytest.raises(ValueError, match=r"^it "):
            read_stamp(raw[:end])
