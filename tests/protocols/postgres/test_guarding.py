"""The guarded relay without I/O: transcripts of both sides, whole and cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import LapseError
from lapse.domain.guards import Guard, Mask, MaskKind, StatementClass
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.backend import Column, CommandComplete, CopyResponse, Report, RowDescription
from lapse.protocols.postgres.framing import MessageReader, message
from lapse.protocols.postgres.guarding import GuardBroken, Guarding
from lapse.protocols.postgres.masking import Masks, TableNames

FORBIDS = Guard(denied_patterns=("forbidden",))
ASKS = Guard(approval_statements=(StatementClass.UPDATE,))
MASKS = Guard(masks=(Mask(name="m", kind=MaskKind.FULL, columns=("email",)),))
READY = backend.ready_for_query()
ANY = frozenset(bytes([one]) for one in range(256))
UPDATE = b"UPDATE t SET a = 1"


def relay(guard):
    masks = Masks(guard.masks, key=b"k")
    return Guarding(guard=guard, token="nobody_knows", masks=masks, parameters={b"client_encoding": b"UTF8"})


def sent(made):
    """What went to the server since the last look, as kinds and texts."""
    data, made.to_server = bytes(made.to_server), bytearray()
    return [(one.kind, one.body) for one in messages(data)]


def told(made):
    data, made.to_client = bytes(made.to_client), bytearray()
    return messages(data)


def messages(data):
    reader = MessageReader(1 << 30, ANY)
    reader.feed(data)
    found = list(reader)
    assert reader.leftover() == b""
    return found


def syntax_error(text):
    return Report("ERROR", "42601", f'syntax error at or near "{text.decode()}"').error()


def extended(text, name=b"", portal=b""):
    return (
        frontend.Parse(name, text).encode()
        + frontend.Bind(portal, name).encode()
        + frontend.Execute(portal).encode()
        + frontend.sync()
    )


def test_what_is_allowed_passes_byte_for_byte():
    made = relay(FORBIDS)
    said = frontend.Query(b"SELECT 1").encode() + extended(b"SELECT 2", b"s", b"p")
    made.from_client(said)
    assert bytes(made.to_server) == said
    answer = message(b"1") + backend.data_row([b"x" * 300_000]) + CommandComplete(b"SELECT 1").encode() + READY
    made.from_server(answer)
    assert bytes(made.to_client) == answer


def test_a_refused_query_becomes_one_that_cannot_be_parsed_and_its_error_the_reason():
    made = relay(FORBIDS)
    made.from_client(frontend.Query(b"SELECT 'forbidden'").encode())
    ((kind, body),) = sent(made)
    assert (kind, body) == (b"Q", b"nobody_knows_1\0")
    made.from_server(syntax_error(b"nobody_knows_1") + READY)
    error, ready = told(made)
    report = Report.read(error.body)
    assert (report.sqlstate, "forbidden" in report.message, ready.kind) == ("42501", True, b"Z")


def test_in_a_failed_transaction_the_client_is_told_that_as_by_postgresql():
    made = relay(FORBIDS)
    made.from_server(backend.ready_for_query(backend.IN_FAILED_TRANSACTION))
    made.from_client(frontend.Query(b"SELECT 'forbidden'").encode())
    told(made)
    made.from_server(syntax_error(b"nobody_knows_1"))
    (error,) = told(made)
    assert Report.read(error.body).sqlstate == "25P02"


def test_function_calls_are_refused():
    made = relay(FORBIDS)
    made.from_client(message(b"F", b"\0\0\0\1\0\0\0\0\0\0"))
    assert sent(made) == [(b"Q", b"nobody_knows_1\0")]


def test_a_statement_that_waits_keeps_back_all_that_follows_it():
    made = relay(ASKS)
    made.from_client(extended(UPDATE) + extended(b"SELECT 1"))
    assert [kind for kind, _ in sent(made)] == [b"P", b"B"]
    assert made.hold.text == UPDATE
    made.decided(None)
    assert made.hold is None
    assert [kind for kind, _ in sent(made)] == [b"E", b"S", b"P", b"B", b"E", b"S"]


def test_an_execution_that_is_refused_is_an_error_in_its_place():
    made = relay(ASKS)
    made.from_client(extended(UPDATE))
    sent(made)
    made.decided(Report("ERROR", "42501", "no"))
    assert [kind for kind, _ in sent(made)] == [b"P", b"S"]
    made.from_server(message(b"1") + message(b"2") + syntax_error(b"nobody_knows_1") + READY)
    assert [one.kind for one in told(made)] == [b"1", b"2", b"E", b"Z"]
    made.from_client(extended(b"SELECT 1"))
    assert made.hold is None


def test_a_skipped_close_does_not_free_a_statement_that_waits():
    made = relay(ASKS)
    made.from_client(frontend.Parse(b"s", UPDATE).encode() + frontend.sync())
    made.from_server(message(b"1") + READY)
    close = frontend.Named(frontend.STATEMENT, b"s").encode(frontend.CLOSE)
    made.from_client(frontend.Parse(b"bad", b"SELECT no").encode() + close + frontend.sync())
    run = frontend.Bind(b"", b"s").encode() + frontend.Execute(b"").encode()
    made.from_client(run)
    assert made.hold is not None


def test_sql_s_own_prepare_is_refused_where_statements_may_wait():
    made = relay(ASKS)
    made.from_client(frontend.Query(b"PREPARE p AS UPDATE t SET a = 1").encode())
    assert "PREPARE" in made.judgements[0].verdict.why


def row_of(name, table=0, attribute=0):
    return RowDescription((Column(name, table, attribute),)).encode()


def test_rows_are_masked_once_the_names_of_their_tables_are_known():
    made = relay(MASKS)
    made.from_client(frontend.Query(b"SELECT email AS x FROM t").encode())
    made.from_server(row_of(b"x", 77, 2) + backend.data_row([b"alice"]) + CommandComplete(b"SELECT 1").encode() + READY)
    assert made.tables == {77}
    assert told(made) == []
    made.named({77: TableNames("public.t", {2: "email"})})
    described, row, *_ = told(made)
    assert (described.kind, backend.data_row_values(row.body)) == (b"T", [b"****"])


def test_each_execution_is_described_to_the_gateway_alone():
    made = relay(MASKS)
    made.from_client(extended(b"SELECT 1"))
    assert [kind for kind, _ in sent(made)] == [b"P", b"B", b"D", b"E", b"S"]
    made.from_server(message(b"1") + message(b"2") + row_of(b"email") + backend.data_row([b"alice"]))
    made.from_server(CommandComplete(b"SELECT 1").encode() + READY)
    kinds = told(made)
    assert [one.kind for one in kinds] == [b"1", b"2", b"D", b"C", b"Z"]
    assert backend.data_row_values(kinds[2].body) == [b"****"]


def test_syncs_that_a_copy_swallows_are_not_waited_for():
    made = relay(MASKS)
    made.from_client(extended(b"COPY t FROM STDIN"))
    made.from_server(message(b"1") + message(b"2") + message(b"n") + CopyResponse(0, (0,)).encode(b"G"))
    made.from_client(message(b"d", b"1\n") + message(b"c") + frontend.sync() + extended(b"SELECT 1"))
    made.from_server(CommandComplete(b"COPY 1").encode() + READY)
    made.from_server(message(b"1") + message(b"2") + row_of(b"email") + backend.data_row([b"alice"]))
    assert [one.kind for one in told(made)] == [b"1", b"2", b"G", b"C", b"Z", b"1", b"2", b"D"]


def test_rows_that_cannot_be_masked_end_the_session():
    with pytest.raises(GuardBroken):
        relay(MASKS).from_server(backend.data_row([b"alice"]))
    with pytest.raises(GuardBroken):
        relay(MASKS).from_server(CopyResponse(0, (0,)).encode(b"H"))


@pytest.mark.parametrize("name", [b"default_transaction_read_only", b"standard_conforming_strings"])
def test_a_setting_that_undoes_the_guard_ends_the_session(name):
    made = relay(Guard(read_only=True))
    made.from_server(backend.parameter_status(name, b"on"))
    with pytest.raises(GuardBroken):
        made.from_server(backend.parameter_status(name, b"off"))


DIALOGUE = (
    frontend.Query(b"SELECT 1").encode()
    + extended(b"SELECT 'forbidden'", b"s")
    + frontend.Query(b"SELECT 'forbidden'").encode()
    + frontend.Parse(b"", b"SELECT $1").encode()
    + frontend.Bind(b"", b"", values=(b"v" * 500,)).encode()
    + message(b"d", b"x" * 200)
    + frontend.sync()
)
ANSWERS = (
    row_of(b"email")
    + backend.data_row([b"alice"])
    + CommandComplete(b"SELECT 1").encode()
    + READY
    + Report("NOTICE", "00000", "hello").notice()
    + syntax_error(b"nobody_knows_1")
    + READY
    + backend.parameter_status(b"a", b"b")
)


@given(st.sampled_from([FORBIDS, MASKS, ASKS]), st.lists(st.integers(1, 40), max_size=60))
def test_however_the_bytes_come_the_same_goes_out(guard, sizes):
    whole, pieces = relay(guard), relay(guard)
    for made, cuts in ((whole, []), (pieces, sizes)):
        for feed, data in ((made.from_client, DIALOGUE), (made.from_server, ANSWERS)):
            at = 0
            for size in cuts:
                feed(data[at : at + size])
                at += size
            feed(data[at:])
    assert (whole.to_server, whole.to_client) == (pieces.to_server, pieces.to_client)


@given(st.binary(max_size=300))
def test_no_bytes_of_a_server_break_the_relay_in_another_way(data):
    made = relay(MASKS)
    try:
        made.from_server(data)
    except LapseError:
        return
    assert not made.to_server
