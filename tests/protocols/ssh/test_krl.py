"""Revocation lists: what is written is read back, OpenSSH agrees, and nothing else is taken for one."""

from __future__ import annotations

import struct
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.certificates import sign
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.krl import LARGEST_KRL, Krl, read_krl, write_krl
from lapse.protocols.ssh.orders import order

CA = Ed25519PrivateKey.generate()
CA_TEXT = public_text(CA.public_key())
USER = public_text(Ed25519PrivateKey.generate().public_key())
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

serials = st.integers(1, 2**64 - 1)


def listed(*numbers, **changes):
    return Krl(**{"ca": CA_TEXT, "version": 3, "generated_at": NOW, "serials": frozenset(numbers)} | changes)


def certificate(serial, ca=CA):
    window = orders.valid_between(NOW, NOW + timedelta(hours=1))
    return sign(ca, order(USER, serial, "g1", window, orders.for_principals("deploy")))


@pytest.fixture
def revoked(tmp_path):
    """Whether OpenSSH finds a certificate on a list."""

    def _revoked(krl, text):
        (tmp_path / "krl").write_bytes(write_krl(krl))
        (tmp_path / "cert.pub").write_text(text + "\n")
        found = subprocess.run(
            ["ssh-keygen", "-Q", "-f", tmp_path / "krl", tmp_path / "cert.pub"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0 or "REVOKED" in found.stdout, found.stderr
        return found.returncode != 0

    return _revoked


def _with_certificates(kind, content):
    """A list with one section of serial numbers in another form than `write_krl` gives."""
    whole = write_krl(listed())
    head, (size,), key = whole[:45], struct.unpack(">I", whole[45:49]), whole[49:]
    assert len(key) == size
    section = key + kind + struct.pack(">I", len(content)) + content
    return head + struct.pack(">I", len(section)) + section


@given(st.frozensets(serials), st.integers(0, 2**64 - 1), st.text(max_size=50))
def test_what_is_written_is_read_back(numbers, version, comment):
    krl = listed(*numbers, version=version, comment=comment)
    assert read_krl(write_krl(krl)) == krl


@pytest.mark.parametrize("serial", [1, 42, 2**32, 2**63, 2**64 - 1])
def test_openssh_finds_the_certificates_that_are_listed_and_no_others(revoked, serial):
    krl = listed(serial, 7, 1_000_000)
    assert revoked(krl, certificate(serial))
    assert not revoked(krl, certificate(8))
    assert not revoked(krl, certificate(serial, Ed25519PrivateKey.generate()))


def test_an_empty_list_is_one(revoked):
    assert not revoked(listed(), certificate(1))
    assert read_krl(write_krl(listed())).serials == frozenset()


def test_openssh_s_own_list_is_read(tmp_path):
    (tmp_path / "ca.pub").write_text(CA_TEXT + "\n")
    (tmp_path / "spec").write_text("serial: 5\nserial: 1000\nserial: 7000-7020\nserial: 90000-99999\n")
    subprocess.run(
        ["ssh-keygen", "-k", "-f", tmp_path / "krl", "-s", tmp_path / "ca.pub", tmp_path / "spec"],
        check=True,
        capture_output=True,
    )
    found = read_krl((tmp_path / "krl").read_bytes())
    assert found.ca == CA_TEXT
    assert found.serials == {5, 1000, *range(7000, 7021), *range(90_000, 100_000)}


@given(st.integers(0), st.frozensets(serials, min_size=1, max_size=4))
def test_a_list_that_is_cut_short_is_refused(at, numbers):
    whole = write_krl(listed(*numbers))
    with pytest.raises(InvalidInput):
        read_krl(whole[: at % len(whole)])


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda more: write_krl(listed(1))[:44] + more))
def test_any_bytes_are_a_list_or_refused(data):
    try:
        read_krl(data)
    except InvalidInput:
        return
    assert read_krl(data) == read_krl(write_krl(read_krl(data)))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\0" * 60, "not an OpenSSH"),
        (write_krl(listed(1)) + b"\2\0\0\0\0", "more than certificates"),
        (write_krl(listed(1)).replace(b"\x20\0\0\0\x08", b"\x23\0\0\0\x08"), "not read here"),
        (write_krl(listed(1)).replace(b"\x20\0\0\0\x08", b"\x21\0\0\0\x08"), "a range"),
        (write_krl(listed(1)).replace(b"\x20\0\0\0\x08", b"\x20\0\0\0\x07"), "cut short"),
        (b"\0" * (LARGEST_KRL + 1), "too large"),
        (_with_certificates(b"\x22", bytes(8) + struct.pack(">I", 2**18) + bytes(2**18)), "bitmap that is too long"),
        (_with_certificates(b"\x20", bytes(8)), "between 1 and"),
        (write_krl(listed(1)).replace(struct.pack(">Q", int(NOW.timestamp())), b"\xff" * 8), "head"),
    ],
    ids=range(9),
)
def test_what_lapse_never_writes_is_refused(data, why):
    with pytest.raises(InvalidInput, match=why):
        read_krl(data)


@pytest.mark.parametrize("serial", [0, -1, 2**64])
def test_what_is_no_serial_number_is_not_written(serial):
    with pytest.raises(InvalidInput):
        write_krl(listed(serial))
