"""Certificates: any order that is acceptable comes back as it was given, and what is not is refused or noticed."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt, InvalidInput, Refused
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.certificates import (
    CERTIFICATE_CHECKS,
    check_certificate,
    check_within,
    read_certificate,
    sign,
)
from lapse.protocols.ssh.keys import public_text, read_public_key
from lapse.protocols.ssh.orders import EXTENSIONS, order

CA = Ed25519PrivateKey.generate()
CA_TEXT = public_text(CA.public_key())
KEYS = [
    public_text(key.public_key())
    for key in (
        Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    )
]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRANT_ENDS = NOW + timedelta(hours=1, milliseconds=700)

names = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=","), min_size=1, max_size=40)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis


def usual(*more):
    return order(
        KEYS[0],
        7,
        "grant:g1",
        orders.valid_between(NOW, GRANT_ENDS),
        orders.for_principals("web-1/deploy"),
        orders.permitting("permit-pty"),
        *more,
    )


@given(
    key=st.sampled_from(KEYS),
    serial=st.integers(1, 2**64 - 1),
    key_id=names,
    principals=st.lists(names, min_size=1, max_size=5),
    start=instants,
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    extensions=st.sets(st.sampled_from(EXTENSIONS)),
    address=st.sampled_from(["", "10.0.0.0/8,::1/128"]),
    command=st.just("") | names,
)
def test_a_certificate_says_exactly_what_was_ordered(
    key, serial, key_id, principals, start, length, extensions, address, command
):
    deadline = start + length
    wanted = order(
        key,
        serial,
        key_id,
        orders.valid_between(start, deadline),
        orders.for_principals(*principals),
        orders.permitting(*extensions),
        orders.from_addresses(address),
        orders.forced(command),
    )
    found = read_certificate(sign(CA, wanted))
    assert found.ca == CA_TEXT
    assert (found.public_key, found.serial, found.key_id) == (key, serial, key_id)
    assert found.principals == tuple(principals)
    assert found.extensions == tuple(sorted(extensions))
    given_options = {"source-address": address, "force-command": command}
    assert found.critical_options == {name: value for name, value in given_options.items() if value}
    assert deadline - timedelta(seconds=1) < found.valid_before <= deadline
    assert not found.valid(deadline)


def test_an_order_starts_with_nothing():
    with pytest.raises(Refused, match="whom it is for"):
        sign(CA, order(KEYS[0], 1, "g1"))
    with pytest.raises(Refused, match="a time in which"):
        sign(CA, order(KEYS[0], 1, "g1", orders.for_principals("deploy")))


def test_it_is_valid_a_little_before_it_was_made_for_clocks_that_are_behind():
    found = read_certificate(sign(CA, usual()))
    assert found.valid(NOW - orders.CLOCK_SKEW)
    assert not found.valid(NOW - orders.CLOCK_SKEW - timedelta(seconds=1))


def test_a_certificate_within_its_grant_is_fine():
    check_within(read_certificate(sign(CA, usual())), NOW, GRANT_ENDS)


@pytest.mark.parametrize(
    ("now", "deadline", "why"),
    [
        (NOW, GRANT_ENDS - timedelta(seconds=1), "outlive"),
        (GRANT_ENDS, GRANT_ENDS, "within this second"),
        (NOW + timedelta(seconds=2), GRANT_ENDS, "before it was asked for"),
    ],
)
def test_one_that_is_not_within_its_grant_is_refused(now, deadline, why):
    with pytest.raises(Refused, match=why):
        check_within(read_certificate(sign(CA, usual())), now, deadline)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"public_key": KEYS[1]}, "key"),
        ({"serial": 8}, "serial"),
        ({"key_id": "grant:g2"}, "serial"),
        ({"principals": ("web-1/deploy", "root")}, "principals"),
        ({"principals": ("root",)}, "principals"),
        ({"valid_before": GRANT_ENDS + timedelta(hours=1)}, "validity"),
        ({"valid_after": NOW - timedelta(hours=1)}, "validity"),
        ({"critical_options": {"force-command": "true"}}, "options"),
        ({"extensions": ()}, "extensions"),
        ({"extensions": ("permit-agent-forwarding", "permit-pty")}, "extensions"),
    ],
)
def test_each_difference_between_order_and_certificate_is_noticed(other, what):
    finished = read_certificate(sign(CA, usual()))
    with pytest.raises(Refused, match=f"its {what} differs"):
        check_certificate(finished, replace(usual(), **other), CA_TEXT)
    assert sum(not agrees(finished, replace(usual(), **other)) for agrees in CERTIFICATE_CHECKS) == 1


def test_another_authority_is_noticed():
    finished = read_certificate(sign(Ed25519PrivateKey.generate(), usual()))
    with pytest.raises(Refused, match="another authority"):
        check_certificate(finished, usual(), CA_TEXT)


def test_a_certificate_whose_content_was_changed_is_corrupt():
    kind, body = sign(CA, usual()).split()
    data = base64.b64decode(body).replace(b"web-1/deploy", b"web-2/deploy")
    with pytest.raises(Corrupt):
        read_certificate(f"{kind} {base64.b64encode(data).decode()}")


@pytest.mark.parametrize("text", ["", "nonsense", KEYS[0], "x" * 40_000, f"{KEYS[0]}\n{KEYS[1]}"], ids=range(5))
def test_what_is_no_certificate_is_refused(text):
    with pytest.raises(InvalidInput):
        read_certificate(text)


def built(**changes):
    made = (
        SSHCertificateBuilder()
        .public_key(read_public_key(KEYS[0]))
        .type(changes.get("type", SSHCertificateType.USER))
        .key_id(changes.get("key_id", b"x"))
        .valid_principals([b"x"])
        .valid_after(0)
        .valid_before(changes.get("before", 2_000_000_000))
    )
    return made.sign(CA).public_bytes().decode()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": SSHCertificateType.HOST}, "host's certificate"),
        ({"before": 2**64 - 1}, "has no end"),
        ({"key_id": b"\xff"}, "not UTF-8"),
    ],
)
def test_certificates_that_lapse_never_makes_are_not_read(changes, why):
    with pytest.raises(InvalidInput, match=why):
        read_certificate(built(**changes))


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: "ssh-ed25519 " + b.hex()))
def test_any_text_is_a_key_or_is_refused(text):
    with pytest.raises(InvalidInput):
        read_public_key(text)


def test_weak_and_strange_keys_are_refused():
    weak = public_text(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505  weak on purpose
    with pytest.raises(InvalidInput, match="1024 bits"):
        read_public_key(weak)
    with pytest.raises(InvalidInput, match="kind"):
        read_public_key("sk-ssh-ed25519@openssh.com AAAA")
    with pytest.raises(InvalidInput):
        public_text(object())


def test_a_key_may_come_with_a_comment():
    assert public_text(read_public_key(f"{KEYS[0]} alice@laptop\n")) == KEYS[0]
