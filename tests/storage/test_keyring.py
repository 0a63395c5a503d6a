"""The installation's keys: made once, for their owner alone, and never repaired silently."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt, Refused, Unavailable
from lapse.storage.keyring import SEALING_FILE, SIGNING_FILE, Keyring

ORIGIN = "lapse.example.com/ledger"
DSN = "postgresql://lapse:p%40ss@db.example.com/app"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    return Keyring.open(tmp_path_factory.mktemp("keyring") / "keys", ORIGIN)


def test_the_keys_are_made_once_and_kept(folder):
    first, second = Keyring.open(folder, ORIGIN), Keyring.open(folder, ORIGIN)
    assert first.signer.public_key == second.signer.public_key
    assert second.unseal(first.seal(DSN)) == DSN
    assert first.signer.name == ORIGIN


def test_only_their_owner_may_read_them(folder):
    Keyring.open(folder, ORIGIN)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name for file in folder.iterdir()} == {SIGNING_FILE, SEALING_FILE}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in folder.iterdir())


def test_signatures_verify_with_the_public_key(keyring):
    public = Ed25519PublicKey.from_public_bytes(keyring.signer.public_key)
    public.verify(keyring.signer.sign(b"message"), b"message")
    with pytest.raises(InvalidSignature):
        public.verify(keyring.signer.sign(b"message"), b"other")


@pytest.mark.parametrize("name", [SIGNING_FILE, SEALING_FILE])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(folder, name, mode):
    Keyring.open(folder, ORIGIN)
    (folder / name).chmod(mode)
    with pytest.raises(Refused, match=f"{name}.*may be read by others"):
        Keyring.open(folder, ORIGIN)


@pytest.mark.parametrize("name", [SIGNING_FILE, SEALING_FILE])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_holds_no_key_is_reported_and_left_alone(folder, name, content):
    Keyring.open(folder, ORIGIN)
    (folder / name).write_bytes(content)
    with pytest.raises(Corrupt, match=name):
        Keyring.open(folder, ORIGIN)
    assert (folder / name).read_bytes() == content


def test_a_link_in_place_of_a_key_is_not_followed(folder, tmp_path):
    Keyring.open(folder, ORIGIN)
    (folder / SIGNING_FILE).rename(tmp_path / "elsewhere")
    (folder / SIGNING_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        Keyring.open(folder, ORIGIN)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "keys").write_text("")
    with pytest.raises(Unavailable):
        Keyring.open(tmp_path / "keys", ORIGIN)


def test_many_that_start_at_once_agree_on_the_keys(folder):
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring.open(folder, ORIGIN), range(8)))
    assert len({ring.signer.public_key for ring in rings}) == 1
    assert all(rings[0].unseal(ring.seal(DSN)) == DSN for ring in rings)


@given(text=st.text())
def test_what_is_sealed_can_be_opened(keyring, text):
    assert keyring.unseal(keyring.seal(text)) == text


def test_sealing_twice_gives_different_texts_that_hide_the_secret(keyring):
    assert keyring.seal(DSN) != keyring.seal(DSN)
    assert "postgresql" not in keyring.seal(DSN)


def test_a_sealed_text_opens_for_its_purpose_only(keyring):
    with pytest.raises(Corrupt):
        keyring.unseal(keyring.seal(DSN, purpose="dsn"), purpose="token")


def test_a_sealed_text_of_another_installation_does_not_open(keyring, folder):
    with pytest.raises(Corrupt):
        Keyring.open(folder, ORIGIN).unseal(keyring.seal(DSN))


@given(st.data())
def test_a_sealed_text_that_was_changed_does_not_open(keyring, data):
    sealed = keyring.seal(DSN)  # another text each time, of one length: what is drawn must not hang on it
    at = data.draw(st.integers(0, len(sealed) - 4))  # the last one before the padding has bits that say nothing
    first, second = data.draw(st.permutations("ABCDabcd0123-_"))[:2]
    other = second if sealed[at] == first else first
    with pytest.raises(Corrupt):
        keyring.unseal(sealed[:at] + other + sealed[at + 1 :])


@given(text=st.text(max_size=80))
def test_nonsense_does_not_open(keyring, text):
    with pytest.raises(Corrupt):
        keyring.unseal(text)


def test_the_keys_are_not_shown(keyring):
    assert "AESGCM" not in repr(keyring)
