import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.ssh.wire import Malformed, Message, OpenFailure, Reader, open_failure, request, string, uint32


def test_fields_are_read_as_they_were_written():
    reader = Reader(uint32(7) + b"\0\0\0\0\0\0\1\0" + b"\1" + string("grün") + string(b"\xff") + b"rest")
    assert reader.uint32() == 7
    assert reader.uint64() == 256
    assert reader.boolean()
    assert reader.text() == "grün"
    assert reader.text() == "\ufffd"
    assert reader.rest() == b"rest"


@given(st.binary(max_size=40))
def test_a_message_that_is_too_short_is_malformed_and_nothing_else(data):
    reader = Reader(data)
    with pytest.raises(Malformed):
        [reader.string() for _ in range(20)]


def test_messages_have_the_layout_of_rfc_4254():
    assert open_failure(3, OpenFailure.PROHIBITED, "no")[:9] == b"\x5c\0\0\0\3\0\0\0\1"
    message = request(5, "exec", string("id"), want_reply=True)
    assert message[0] == Message.REQUEST
    reader = Reader(message, 1)
    assert (reader.uint32(), reader.text(), reader.boolean(), reader.text()) == (5, "exec", True, "id")
