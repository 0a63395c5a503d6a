"""The packets before the first message."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.postgres.framing import ProtocolViolation
from lapse.protocols.postgres.startup import (
    GSS_REQUEST,
    TLS_REQUEST,
    CancelRequest,
    GssRequest,
    Startup,
    TlsRequest,
    body_size,
    read_packet,
)


def read(packet):
    assert body_size(packet[:8]) == len(packet) - 8
    return read_packet(packet[:8], packet[8:])


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)


@given(st.integers(0, 2**16 - 1), st.dictionaries(words.filter(bool), words, max_size=5))
def test_startup_packets_round_trip(minor, parameters):
    assert read(Startup(minor, parameters).encode()) == Startup(minor, parameters)


@given(st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=256))
def test_cancel_requests_round_trip(process, key):
    assert read(CancelRequest(process, key).encode()) == CancelRequest(process, key)


def test_wishes_for_encryption():
    assert read(TLS_REQUEST) == TlsRequest()
    assert read(GSS_REQUEST) == GssRequest()


def test_texts_in_other_encodings_keep_their_bytes():
    packet = b"user\0m\xfcller\0\0"
    head = struct.pack("!II", 8 + len(packet), 3 << 16)
    startup = read(head + packet)
    assert startup.user == "m\udcfcller"
    assert startup.encode() == head + packet


def test_the_database_is_unsaid_where_it_is_the_users_name():
    assert Startup(0, {"user": "a", "database": "a"}).database == ""
    assert Startup(0, {"user": "a", "database": "b"}).database == "b"
    assert Startup(0, {"user": "a"}).database == ""


def test_options_of_the_protocol_are_told_from_others():
    assert Startup(2, {"user": "a", "_pq_.compression": "on", "options": ""}).unknown_options == ("_pq_.compression",)


@pytest.mark.parametrize("length", [0, 7, 10_001, 2**30, 2**32 - 1])
def test_lengths_are_bounded(length):
    with pytest.raises(ProtocolViolation, match="not a PostgreSQL startup packet"):
        body_size(struct.pack("!II", length, 3 << 16))


@pytest.mark.parametrize("first", [b"GET / HT", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"SSH-2.0-"])
def test_other_protocols_are_no_startup_packet(first):
    with pytest.raises(ProtocolViolation):
        body_size(first)


@pytest.mark.parametrize(
    ("code", "body", "why"),
    [
        (2 << 16, b"\0", r"version 2\.0 .* is not spoken here"),
        (4 << 16, b"\0", r"version 4\.0 .* is not spoken here"),
        (3 << 16, b"user\0a\0", "does not end"),
        (3 << 16, b"user\0\0", "does not end"),
        (3 << 16, b"user\0a\0\0x", "after its last field"),
        (1234 << 16 | 5679, b"x", "after its last field"),
        (1234 << 16 | 5678, b"\0\0\0\x01abc", "no valid length"),
        (1234 << 16 | 5678, b"\0\0\0", "middle of a field"),
    ],
)
def test_malformed_packets_are_refused(code, body, why):
    with pytest.raises(ProtocolViolation, match=why):
        read(struct.pack("!II", 8 + len(body), code) + body)


@given(st.binary(min_size=8, max_size=80))
def test_any_bytes_are_a_packet_or_a_violation(data):
    with suppress(ProtocolViolation):
        body_size(data[:8])
    with suppress(ProtocolViolation):
        read_packet(struct.pack("!I", len(data)) + b"\0\x03\0\0", data)
