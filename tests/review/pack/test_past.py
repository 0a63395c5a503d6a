"""What a pack found, read for a comparison: only from a pack that is as it was sealed."""

from __future__ import annotations

import json
import zipfile

import pytest

from lapse.domain.errors import InvalidInput
from lapse.review.pack.past import past_of_pack


def test_the_folder_and_the_zip_say_the_same_and_by_whose_key(sealed, signer):
    folder, archive = past_of_pack(sealed.folder), past_of_pack(sealed.archive)
    assert folder == archive
    assert folder.signer == f"{signer.name}+{signer.vkey.split('+')[1]}"
    assert folder.review.findings


def test_findings_that_were_changed_are_not_compared(folder):
    path = folder / "findings.json"
    data = json.loads(path.read_bytes())
    path.write_text(json.dumps(data | {"findings": []}))
    with pytest.raises(InvalidInput, match=r"does not verify: `findings\.json`"):
        past_of_pack(folder)


def _bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p/findings.json", b"0" * (64 << 20))


def _traversal(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/../../findings.json", "{}")


def _nested(path):
    _bomb(path.with_name("inner.zip"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path.with_name("inner.zip"), "p/findings.json")


def _many(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"p/{number}", b"")


def _huge(path):
    _traversal(path)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02") + 20
    content[at : at + 8] = b"\xf0\xff\xff\xff" * 2
    path.write_bytes(content)


def _text(path):
    path.write_text("no zip at all")


@pytest.mark.parametrize("make", [_bomb, _traversal, _nested, _many, _huge, _text])
def test_what_is_no_pack_is_refused_in_a_sentence(tmp_path, make):
    path = tmp_path / "some.zip"
    make(path)
    with pytest.raises(InvalidInput, match="does not verify") as refused:
        past_of_pack(path)
    assert "\n" not in refused.value.message
    assert refused.value.hint.startswith("name the zip file")
