"""What an entitlement says, and whether a certificate can hold a host to it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput, Refused
from lapse.protocols.ssh.canary import CHECK_SERIAL, client_serial, grant_serial
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.native import account_for, check_account, parse_native
from lapse.protocols.ssh.orders import order

KEY = public_text(Ed25519PrivateKey.generate().public_key())


def ordered(**native):
    return order(KEY, 9, "g1", *parse_native(native).limits())


def test_by_default_the_names_are_of_one_host_only():
    assert parse_native({"user": "deploy"}).names("web-1", "deploy") == ("web-1/deploy",)
    assert parse_native({"principals": "a b"}).names("web-1", "deploy") == ("a", "b")


def test_a_certificate_for_the_host_must_be_asked_for():
    assert not parse_native({}).direct
    assert parse_native({"direct": "yes"}).direct


def test_what_is_permitted_becomes_extensions_and_options():
    found = ordered(permit="shell exec sftp agent forward-local forward-remote", source_address="10.0.0.0/8, ::1/128")
    assert found.extensions == ("permit-agent-forwarding", "permit-port-forwarding", "permit-pty")
    assert found.critical_options == {"source-address": "10.0.0.0/8,::1/128"}


def test_sftp_alone_and_a_forced_command_are_forced():
    assert ordered(permit="sftp").critical_options == {"force-command": "internal-sftp"}
    assert ordered(permit="sftp").extensions == ()
    assert ordered(permit="exec", force_command="uptime").critical_options == {"force-command": "uptime"}


@pytest.mark.parametrize("permit", ["shell", "exec", "exec sftp", "", "shell exec sftp forward-local"])
def test_what_a_certificate_cannot_say_is_refused(permit):
    with pytest.raises(Refused):
        ordered(permit=permit)


@pytest.mark.parametrize(
    "native",
    [
        {"role": "x"},
        {"user": "a b"},
        {"user": "-x"},
        {"user": "web%1"},
        {"permit": "everything"},
        {"source_address": "10.0.0.1/8"},
        {"force_command": "a\nb"},
        {"principals": "a,b"},
        {"direct": "maybe"},
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(native):
    with pytest.raises(InvalidInput):
        parse_native(native)


def test_the_account():
    assert account_for(parse_native({"user": "deploy"}), "alice") == "deploy"
    assert account_for(parse_native({}), "alice") == "alice"
    with pytest.raises(Refused):
        account_for(parse_native({}), None)
    with pytest.raises(InvalidInput):
        check_account("")


@given(st.integers(0, 2**128), st.binary(min_size=8, max_size=32))
def test_serial_numbers_of_clients_and_of_probes_never_meet(random, derived):
    probe = grant_serial(lambda _purpose, _subject: derived, "g1")
    assert CHECK_SERIAL < client_serial(random) < 2**62 <= probe < 2**63
