"""What every authority must do: what it signs says what was ordered, no more, and other programs agree."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fakes.authority import FakeAuthority
from lapse.domain.errors import InvalidInput, Refused
from lapse.protocols.ssh.certificates import read_certificate
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.orders import SshCertificateOrder
from lapse.storage.authority import FileAuthority
from lapse.storage.keyring import Keyring

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ENDS = NOW + timedelta(hours=1)
CLIENT = public_text(Ed25519PrivateKey.generate().public_key())


@pytest.fixture(params=["fake", "files"])
def authority(request, tmp_path):
    if request.param == "fake":
        return FakeAuthority(lambda: NOW)
    return FileAuthority.open(tmp_path / "keys", Keyring.open(tmp_path / "keys", "o").derive, lambda: NOW)


def ordered(**changes):
    base = SshCertificateOrder(
        public_key=CLIENT,
        serial=42,
        key_id="grant:g1 alice",
        principals=("web-1/deploy",),
        valid_after=NOW,
        valid_before=ENDS,
        critical_options={"source-address": "127.0.0.1/32"},
        extensions=("permit-pty",),
    )
    return replace(base, **changes)


def test_a_user_certificate_says_what_was_ordered(authority):
    found = read_certificate(authority.sign_ssh(ordered()))
    assert found.ca == authority.ssh_public_key
    assert (found.public_key, found.serial, found.key_id) == (CLIENT, 42, "grant:g1 alice")
    assert found.principals == ("web-1/deploy",)
    assert found.critical_options == {"source-address": "127.0.0.1/32"}
    assert found.extensions == ("permit-pty",)


def test_it_ends_before_its_deadline_never_after(authority):
    found = read_certificate(authority.sign_ssh(ordered()))
    assert found.valid_before == ENDS.replace(microsecond=0)
    assert found.valid_before <= ENDS


def test_openssh_reads_it_alike(authority, tmp_path):
    file = tmp_path / "key-cert.pub"
    file.write_text(authority.sign_ssh(ordered()) + "\n")
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", file], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
    ).stdout
    assert "user certificate" in shown
    assert "Serial: 42" in shown
    assert "Valid: from 2026-03-01T12:00:00 to 2026-03-01T13:00:00" in shown
    assert "web-1/deploy" in shown
    assert "source-address 127.0.0.1/32" in shown
    assert shown.count("permit-") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"principals": ()},
        {"principals": ("",)},
        {"principals": ("deploy,root",)},
        {"principals": ("deploy\n",)},
        {"serial": 0},
        {"serial": 2**64},
        {"valid_before": NOW},
        {"valid_before": NOW - timedelta(hours=1)},
        {"extensions": ("permit-everything",)},
        {"extensions": ("permit-user-rc",)},
        {"critical_options": {"verify-required": "x"}},
        {"critical_options": {"force-command": ""}},
    ],
)
def test_what_no_certificate_may_say_is_refused(authority, changes):
    with pytest.raises(Refused):
        authority.sign_ssh(ordered(**changes))


@pytest.mark.parametrize(
    "key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", "x" * 10_000, CLIENT[:-8]], ids=range(6)
)
def test_what_is_no_public_key_is_refused(authority, key):
    with pytest.raises(InvalidInput):
        authority.sign_ssh(ordered(public_key=key))


def test_a_client_certificate_is_trusted_by_who_trusts_the_ca(authority, tmp_path):
    certificate, key = authority.sign_tls("lapse_g1", ENDS)
    read = x509.load_pem_x509_certificate(certificate.encode())
    ca = x509.load_pem_x509_certificate(authority.tls_certificate.encode())
    read.verify_directly_issued_by(ca)
    assert read.subject.rfc4514_string() == "CN=lapse_g1"
    assert load_pem_private_key(key.encode(), None).public_key() == read.public_key()
    (tmp_path / "ca.pem").write_text(authority.tls_certificate)
    (tmp_path / "client.pem").write_text(certificate)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(int(NOW.timestamp()))]
    subprocess.run([*command, "-CAfile", tmp_path / "ca.pem", tmp_path / "client.pem"], check=True, capture_output=True)


def test_a_client_certificate_is_expired_at_its_deadline(authority):
    certificate, _ = authority.sign_tls("lapse_g1", ENDS)
    last_valid_second = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    assert last_valid_second + timedelta(seconds=1) <= ENDS


def test_client_keys_are_never_the_same(authority):
    assert authority.sign_tls("lapse_g1", ENDS)[1] != authority.sign_tls("lapse_g1", ENDS)[1]


def test_python_can_use_the_pair(authority, tmp_path):
    file = tmp_path / "both.pem"
    file.write_text("".join(authority.sign_tls("lapse_g1", ENDS)))
    ssl.create_default_context(cadata=authority.tls_certificate).load_cert_chain(file)


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_a_name_that_fits_no_certificate_is_refused(authority, name):
    with pytest.raises(InvalidInput):
        authority.sign_tls(name, ENDS)


@pytest.mark.parametrize("end", [NOW, NOW - timedelta(days=1), NOW + timedelta(days=36_500)])
def test_a_client_certificate_without_a_sane_end_is_refused(authority, end):
    with pytest.raises(Refused):
        authority.sign_tls("lapse_g1", end)


def test_derived_secrets_are_bound_to_purpose_and_subject(authority):
    pairs = [("recording", "s1"), ("recording", "s2"), ("login", "s1"), ("recordings", "1"), ("", "recordings1")]
    secrets = [authority.derive(*pair) for pair in pairs]
    assert all(len(secret) == 32 for secret in secrets)
    assert len(set(secrets)) == len(pairs)
    assert secrets == [authority.derive(*pair) for pair in pairs]
