"""The manifest and its DSSE envelope: standard encoding, one spelling, refused otherwise."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from lapse.review.pack.standalone_manifest import (
    PAYLOAD_TYPE,
    envelope_bytes,
    evidence_sha256,
    pae,
    read_envelope,
    read_manifest,
    read_spelled,
    spelled,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_pae_is_that_of_the_specification():
    encoded = pae(b"hello world", "http://example.com/HelloWorld")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_another_library_verifies_the_envelope(sealed, signer):
    envelope = json.loads((sealed.folder / "manifest.dsse.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signature, pae(payload, envelope["payloadType"]))
    assert envelope["payloadType"] == PAYLOAD_TYPE
    assert payload == (sealed.folder / "manifest.json").read_bytes()


def test_the_manifest_names_every_file_the_checkpoint_and_the_evidence(sealed, signer):
    manifest = json.loads((sealed.folder / "manifest.json").read_bytes())
    on_disk = {str(p.relative_to(sealed.folder)) for p in sealed.folder.rglob("*") if p.is_file()}
    assert {item["path"] for item in manifest["files"]} == on_disk - {"manifest.json", "manifest.dsse.json"}
    assert manifest["ledger"]["checkpoint_size"] == 40
    assert manifest["ledger"]["origin"] == signer.name
    assert manifest["evidence_sha256"] == sealed.evidence_sha256 == evidence_sha256(list(sealed.files))


def test_the_report_shows_the_evidence_hash_and_is_not_part_of_it(sealed):
    assert sealed.evidence_sha256 in (sealed.folder / "report.html").read_text()
    without = [item for item in sealed.files if item.path != "report.html"]
    assert evidence_sha256(without) == sealed.evidence_sha256


@given(JSON)
def test_a_document_has_one_spelling(document):
    assert read_spelled(spelled(document)) == document


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"a":1}\n', b'{\n  "a": 1,\n  "a": 1\n}\n', b"\xff", b"[" * 100_000, b'"\xc3\xa4"\n', b"NaN\n"],
)
def test_any_other_spelling_is_refused(data):
    with pytest.raises(ValueError, match="it is not"):
        read_spelled(data)


def test_spare_bits_of_base64_are_refused():
    good = envelope_bytes(b"1\n", "key", b"s" * 64)
    assert read_envelope(good).payload == b"1\n"
    with pytest.raises(ValueError, match="as it was written"):
        read_envelope(good.replace(b"MQo=", b"MQp="))


@pytest.mark.parametrize(
    "document",
    [[], {}, {"format": "lapse-review-pack/2"}, {"format": "lapse-review-pack/1", "files": [{"path": 1}]}, 7, None],
)
def test_what_is_not_a_manifest_is_refused(document):
    with pytest.raises(ValueError, match=r"^its? "):
        read_manifest(spelled(document))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_refused(data):
    with pytest.raises(ValueError, match="it is"):
        read_envelope(data)
