"""The authority's key files: made once, for their owner alone; the same keys after a restart, others elsewhere."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt, Refused
from lapse.storage.authority import SSH_CA_FILE, TLS_CA_FILE, FileAuthority
from lapse.storage.keyring import SEALING_FILE, Keyring

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def opened(folder):
    return FileAuthority.open(folder, Keyring.open(folder, "o").derive, lambda: NOW)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def test_the_keys_are_made_once_and_kept(folder):
    first, second = opened(folder), opened(folder)
    assert first.ssh_public_key == second.ssh_public_key
    assert first.tls_certificate == second.tls_certificate
    assert first.derive("a", "b") == second.derive("a", "b")


def test_two_processes_that_start_together_have_one_authority(folder):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: opened(folder), range(8)))
    assert len({one.ssh_public_key for one in found}) == 1
    assert len({one.tls_certificate for one in found}) == 1


def test_every_installation_has_its_own(tmp_path):
    one, other = opened(tmp_path / "one"), opened(tmp_path / "other")
    assert one.ssh_public_key != other.ssh_public_key
    assert one.derive("a", "b") != other.derive("a", "b")


@pytest.mark.parametrize("name", [SSH_CA_FILE, TLS_CA_FILE])
def test_only_their_owner_may_read_them(folder, name):
    opened(folder)
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    (folder / name).chmod(0o640)
    with pytest.raises(Refused, match=f"{name}.*may be read by others"):
        opened(folder)


@pytest.mark.parametrize("name", [SSH_CA_FILE, TLS_CA_FILE])
@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_holds_no_key_is_reported_and_left_alone(folder, name, content):
    opened(folder)
    (folder / name).write_bytes(content)
    with pytest.raises(Corrupt, match=name):
        opened(folder)
    assert (folder / name).read_bytes() == content


def test_a_certificate_of_another_key_is_no_authority(tmp_path):
    opened(tmp_path / "one"), opened(tmp_path / "other")
    key = (tmp_path / "one" / TLS_CA_FILE).read_text().partition("-----BEGIN CERTIFICATE")[0]
    certificate = (tmp_path / "other" / TLS_CA_FILE).read_text().partition("-----BEGIN CERTIFICATE")
    (tmp_path / "one" / TLS_CA_FILE).write_text(key + "".join(certificate[1:]))
    with pytest.raises(Corrupt):
        opened(tmp_path / "one")


def test_openssh_can_use_the_key_file(folder):
    authority = opened(folder)
    found = subprocess.run(["ssh-keygen", "-y", "-f", folder / SSH_CA_FILE], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == authority.ssh_public_key


def test_no_key_shows_in_a_repr(folder):
    keyring = Keyring.open(folder, "o")
    root = (folder / SEALING_FILE).read_bytes()
    assert repr(root) not in repr(keyring)
    assert "PRIVATE" not in repr(opened(folder))


def test_derivation_is_hkdf_sha256_of_rfc_5869(folder):
    derived = Keyring.open(folder, "o").derive("p", "s")
    extract = _hmac(bytes(32), (folder / SEALING_FILE).read_bytes())
    assert derived == _hmac(extract, b"lapse/derive/v1\0\0\0\1p\0\0\0\1s" + b"\1")


def _hmac(key, data):
    made = hmac.HMAC(key, hashes.SHA256())
    made.update(data)
    return made.finalize()


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_pairs_never_share_a_secret(tmp_path_factory, one, other):
    derive = Keyring.open(tmp_path_factory.getbasetemp() / "shared", "o").derive
    assert (derive(*one) == derive(*other)) is (one == other)
