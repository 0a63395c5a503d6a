"""What is written is read back the same; what is no such message is a violation and never anything else."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.backend import (
    BackendKeyData,
    Column,
    CommandComplete,
    CopyResponse,
    NegotiateProtocolVersion,
    Report,
    RowDescription,
)
from lapse.protocols.postgres.framing import ProtocolViolation
from lapse.protocols.postgres.frontend import Bind, Execute, Named, Parse, Query, SaslInitial

texts = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b""))
values = st.none() | st.binary(max_size=20)
oids = st.integers(0, 2**32 - 1)
formats = st.lists(st.sampled_from([0, 1]), max_size=1).map(tuple)
numbers = st.integers(-(2**31), 2**31 - 1)
small = st.integers(-(2**15), 2**15 - 1)

client_messages = st.one_of(
    st.builds(Query, texts),
    st.builds(Parse, texts, texts, st.lists(oids, max_size=4).map(tuple)),
    st.builds(Bind, texts, texts, formats, st.lists(values, max_size=4).map(tuple), formats),
    st.builds(Execute, texts, numbers),
    st.builds(SaslInitial, texts, values),
)
server_messages = st.one_of(
    st.builds(RowDescription, st.lists(st.builds(Column, texts, oids, small, oids, small, numbers, small)).map(tuple)),
    st.builds(CommandComplete, texts),
    st.builds(BackendKeyData, oids, st.binary(min_size=4, max_size=256)),
    st.builds(NegotiateProtocolVersion, st.integers(0, 9999), st.lists(texts, max_size=4).map(tuple)),
)


@given(client_messages | server_messages)
def test_messages_round_trip(sent):
    assert type(sent).read(sent.encode()[5:]) == sent


@given(st.lists(values, max_size=5), st.lists(oids, max_size=5), texts, texts)
def test_functions_round_trip(row, types, name, value):
    assert backend.data_row_values(backend.data_row(row)[5:]) == row
    assert backend.parameter_types(backend.parameter_description(types)[5:]) == tuple(types)
    assert backend.read_parameter_status(backend.parameter_status(name, value)[5:]) == (name, value)


READERS = [
    Query.read,
    Parse.read,
    Bind.read,
    Named.read,
    Execute.read,
    SaslInitial.read,
    RowDescription.read,
    CommandComplete.read,
    CopyResponse.read,
    BackendKeyData.read,
    NegotiateProtocolVersion.read,
    Report.read,
    backend.data_row_values,
    backend.parameter_types,
    backend.read_parameter_status,
    backend.read_authentication,
]


@given(st.binary(max_size=80), st.sampled_from(READERS))
def test_any_body_is_read_or_a_violation(body, read):
    with suppress(ProtocolViolation):
        read(body)


@given(client_messages | server_messages, st.data())
def test_no_message_can_be_cut_short_or_made_longer(sent, data):
    body = sent.encode()[5:]
    cut = data.draw(st.integers(0, len(body) - 1))
    for wrong in (body[:cut], body + b"x"):
        try:
            found = type(sent).read(wrong)
        except ProtocolViolation:
            continue
        assert isinstance(found, BackendKeyData)  # its key is all that is left


class TestClientMessages:
    def test_a_bind_says_the_format_of_each_parameter(self):
        assert [Bind(b"", b"", (), (b"1", b"2")).format(n) for n in (0, 1)] == [0, 0]
        assert [Bind(b"", b"", (1,), (b"1", b"2")).format(n) for n in (0, 1)] == [1, 1]
        assert [Bind(b"", b"", (0, 1), (b"1", b"2")).format(n) for n in (0, 1)] == [0, 1]
        with pytest.raises(ProtocolViolation, match="no format"):
            frontend.format_of((0, 1), 2)

    def test_a_bind_with_too_few_formats_is_refused(self):
        wrong = Bind(b"", b"", (0, 1), (b"1", b"2", b"3"))
        with pytest.raises(ProtocolViolation, match="one format"):
            Bind.read(wrong.encode()[5:])

    def test_there_are_two_formats(self):
        with pytest.raises(ProtocolViolation, match="neither text nor binary"):
            Bind.read(Bind(b"", b"", (2,), ()).encode()[5:])

    def test_describe_and_close_name_a_statement_or_a_portal(self):
        named = Named(frontend.PORTAL, b"c1")
        assert named.encode(frontend.CLOSE) == b"C\0\0\0\x08Pc1\0"
        assert Named.read(b"Pc1\0") == named
        with pytest.raises(ProtocolViolation, match="neither a statement nor a portal"):
            Named.read(b"Xc1\0")

    def test_short_ones(self):
        assert frontend.sync() == b"S\0\0\0\x04"
        assert frontend.terminate() == b"X\0\0\0\x04"
        assert frontend.password(b"secret\0") == b"p\0\0\0\x0bsecret\0"


class TestServerMessages:
    def test_an_error_is_read_back(self):
        report = Report("ERROR", "42P01", "no such table", "tried hard", "make one")
        assert report.error()[:1] == b"E"
        assert report.notice()[:1] == b"N"
        assert Report.read(report.error()[5:]) == report
        assert Report.read(report.notice()[5:]) == report

    def test_the_severity_that_is_not_translated_counts(self):
        assert Report.read(b"SFEHLER\0VERROR\0C42P01\0Mfehlt\0\0").severity == "ERROR"
        assert Report.read(b"SERROR\0C42P01\0Mold server\0F???\0\0") == Report("ERROR", "42P01", "old server")

    def test_an_error_has_no_zero_inside(self):
        assert Report.read(Report("ERROR", "XX000", "a\0b").error()[5:]).message == "ab"

    @pytest.mark.parametrize(
        ("tag", "command", "rows"),
        [
            (b"INSERT 0 5", "INSERT", 5),
            (b"SELECT 3", "SELECT", 3),
            (b"CREATE TABLE", "CREATE TABLE", None),
            (b"COPY 12", "COPY", 12),
            (b"", "", None),
            (b"SELECT " + b"9" * 5000, "SELECT", None),
        ],
    )
    def test_tags(self, tag, command, rows):
        complete = CommandComplete(tag)
        assert (complete.command, complete.rows) == (command, rows)

    def test_copy_responses_say_formats(self):
        copy = CopyResponse(1, (1, 0))
        assert copy.encode(backend.COPY_OUT_RESPONSE) == b"H\0\0\0\x0b\x01\0\x02\0\x01\0\0"
        assert CopyResponse.read(b"\x01\0\x02\0\x01\0\0") == copy

    def test_a_version_is_sent_whole_and_read_either_way(self):
        negotiate = NegotiateProtocolVersion(2, (b"_pq_.x",))
        assert negotiate.encode() == b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0"
        assert NegotiateProtocolVersion.read(struct.pack("!ii", 2, 0)) == NegotiateProtocolVersion(2)

    @pytest.mark.parametrize("size", [0, 3, 257])
    def test_cancel_keys_have_bounds(self, size):
        with pytest.raises(ProtocolViolation, match="cancel key"):
            BackendKeyData.read(bytes(4 + size))

    def test_short_ones(self):
        assert backend.ready_for_query() == b"Z\0\0\0\x05I"
        assert backend.parameter_statuses({b"a": b"1", b"b": b"2"}) == b"S\0\0\0\x08a\x001\0S\0\0\0\x08b\x002\0"
        sasl = backend.authentication_sasl(["SCRAM-SHA-256"])
        assert sasl == b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
        assert backend.read_authentication(sasl[5:]) == (backend.AUTH_SASL, b"SCRAM-SHA-256\0\0")
