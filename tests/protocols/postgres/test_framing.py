"""Messages come out of a stream as they went in, however it is cut, and nothing too long is kept."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.postgres.framing import (
    CLIENT_KINDS,
    SERVER_KINDS,
    Fields,
    Message,
    MessageReader,
    ProtocolViolation,
    message,
    shown_kind,
)

messages = st.builds(Message, st.sampled_from(sorted(CLIENT_KINDS)), st.binary(max_size=50))


def reader(longest=100, kinds=CLIENT_KINDS):
    return MessageReader(longest, kinds)


def test_a_message_is_kind_length_and_body():
    assert message(b"Q", b"SELECT 1", b"\0") == b"Q\0\0\0\x0dSELECT 1\0"
    assert Message(b"S", b"").encode() == b"S\0\0\0\x04"


@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 40), max_size=30))
def test_pieces_do_not_matter(sent, sizes):
    stream, read, came = b"".join(one.encode() for one in sent), reader(), []
    for size in sizes:
        read.feed(stream[:size])
        stream = stream[size:]
        came += read
    read.feed(stream)
    came += read
    assert came == sent
    assert read.leftover() == b""


def test_what_is_not_whole_yet_can_be_handed_on():
    read = reader()
    read.feed(message(b"S") + b"Q\0\0\0\x0dSEL")
    assert list(read) == [Message(b"S", b"")]
    assert read.leftover() == b"Q\0\0\0\x0dSEL"
    assert read.leftover() == b""


@pytest.mark.parametrize("length", [101, 2**30, 2**31 - 1, -1, 0, 3])
def test_a_length_out_of_bounds_is_refused_by_its_header(length):
    read = reader()
    read.feed(b"Q" + struct.pack("!i", length))
    with pytest.raises(ProtocolViolation, match="not allowed here"):
        read.read()


def test_a_wrong_kind_is_refused_at_its_first_byte():
    read = reader()
    read.feed(b"G")
    with pytest.raises(ProtocolViolation, match="no message begins with `G`"):
        read.read()
    read = reader()
    read.feed(b"\x16\x03\x01\x02\0")
    with pytest.raises(ProtocolViolation, match="no message begins with `0x16`"):
        read.read()


@given(st.binary(max_size=60))
def test_any_bytes_are_messages_or_a_violation(data):
    read = reader(kinds=SERVER_KINDS)
    read.feed(data)
    try:
        came = b"".join(one.encode() for one in read)
    except ProtocolViolation:
        return
    assert came + read.leftover() == data


def test_kinds_are_shown_as_letters_or_numbers():
    assert shown_kind(b"Q") == "Q"
    assert shown_kind(b"\0") == "0x00"


class TestFields:
    def test_each_field_is_taken_in_turn(self):
        fields = Fields(b"\xff\xff\0\0\0\x07\xff\xff\xff\xffname\0\0\0\0\x02ab\xff\xff\xff\xffrest")
        assert fields.int16() == -1
        assert fields.int32() == 7
        assert fields.uint32() == 2**32 - 1
        assert fields.text() == b"name"
        assert fields.value() == b"ab"
        assert fields.value() is None
        assert not fields.ended
        assert fields.rest() == b"rest"
        assert fields.ended
        fields.end()

    @pytest.mark.parametrize(
        "ask",
        [
            lambda fields: fields.take(4),
            lambda fields: fields.take(-2),
            lambda fields: fields.int32(),
            lambda fields: fields.text(),
            lambda fields: fields.end(),
        ],
    )
    def test_nothing_is_read_past_the_end(self, ask):
        with pytest.raises(ProtocolViolation):
            ask(Fields(b"abc"))

    def test_no_more_items_are_promised_than_fit(self):
        assert Fields(b"\0\x02" + bytes(8)).count(4) == 2
        with pytest.raises(ProtocolViolation, match="promises more"):
            Fields(b"\0\x03" + bytes(8)).count(4)
