"""Statements out of what was kept of a session's wire: transcripts in, records out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.protocols.pieces import Direction, Piece
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.audit import Auditor
from lapse.protocols.postgres.backend import Report
from lapse.protocols.postgres.framing import message
from lapse.protocols.postgres.frontend import Bind, Execute, Named, Parse, Query, sync

READY = backend.ready_for_query()
DIVISION = Report("ERROR", "22012", "division by zero").error()


def tag(text):
    return message(backend.COMMAND_COMPLETE, text.encode() + b"\0")


PARSED, BOUND, CLOSED = (message(kind) for kind in (b"1", b"2", b"3"))


def audit(*dialogue, close=True):
    """Records of a dialogue: what the client says is a value of `sent`, the rest the server's; a millisecond apart."""
    auditor, found = Auditor(), []
    for number, (who, data) in enumerate(dialogue):
        found += auditor.feed([Piece(who, number * 1_000, data)])
    return found + (list(auditor.close()) if close else [])


def sent(*messages):
    return Direction.CLIENT, b"".join(messages)


def said(*messages):
    return Direction.SERVER, b"".join(messages)


def test_a_simple_query_with_its_tag_rows_and_duration():
    (one,) = audit(sent(Query(b"SELECT 1").encode()), said(tag("SELECT 5"), READY))
    assert (one.kind, one.text, one.tags, one.rows) == ("simple", "SELECT 1", ("SELECT 5",), 5)
    assert one.duration == timedelta(milliseconds=1)


def test_several_statements_in_one_query_are_one_record_with_all_tags():
    (one,) = audit(
        sent(Query(b"INSERT INTO t VALUES (1); DELETE FROM t").encode()),
        said(tag("INSERT 0 1"), tag("DELETE 4"), READY),
    )
    assert one.tags == ("INSERT 0 1", "DELETE 4")
    assert one.rows == 5


def test_an_error_is_the_queries_own_and_the_next_one_is_not_concerned():
    one, other = audit(
        sent(Query(b"SELECT 1/0").encode()),
        said(DIVISION, READY),
        sent(Query(b"SELECT 2").encode()),
        said(tag("SELECT 1"), READY),
    )
    assert (one.text, one.error, one.message) == ("SELECT 1/0", "22012", "division by zero")
    assert (other.text, other.error) == ("SELECT 2", "")


def test_a_prepared_statement_is_resolved_by_its_name_each_time():
    insert = b"INSERT INTO t VALUES ($1, $2)"
    prepare = sent(Parse(b"s1", insert).encode(), sync())
    run = [
        sent(Bind(b"", b"s1", values=(value, None)).encode(), Execute(b"").encode(), sync()) for value in (b"a", b"b")
    ]
    records = audit(
        prepare, said(PARSED, READY), run[0], said(BOUND, tag("INSERT 0 1"), READY), run[1],
        said(BOUND, tag("INSERT 0 1"), READY),
    )  # fmt: skip
    assert [(r.text, r.name, r.parameters) for r in records] == [
        (insert.decode(), "s1", ("a", None)),
        (insert.decode(), "s1", ("b", None)),
    ]


def test_a_pipeline_of_which_one_fails_skips_the_rest_up_to_its_sync():
    def run(text):
        return Parse(b"", text).encode() + Bind(b"", b"").encode() + Execute(b"").encode()

    records = audit(
        sent(run(b"SELECT 1"), run(b"SELECT 1/0"), run(b"SELECT 3"), sync(), run(b"SELECT 4"), sync()),
        said(PARSED, BOUND, tag("SELECT 1"), PARSED, BOUND, DIVISION, READY, PARSED, BOUND, tag("SELECT 1"), READY),
    )
    assert [(r.text, r.error) for r in records] == [("SELECT 1", ""), ("SELECT 1/0", "22012"), ("SELECT 4", "")]


def test_a_statement_that_is_refused_when_it_is_prepared():
    wrong = Report("ERROR", "42601", "syntax error").error()
    (one,) = audit(sent(Parse(b"s", b"SELEC").encode(), sync()), said(wrong, READY))
    assert (one.kind, one.text, one.error) == ("parse", "SELEC", "42601")


def test_a_portal_that_is_run_piece_by_piece_is_a_record_each_time():
    fetch = Execute(b"c", 10).encode()
    records = audit(
        sent(Parse(b"", b"SELECT g").encode(), Bind(b"c", b"").encode(), fetch, sync()),
        said(PARSED, BOUND, message(b"s"), READY),
        sent(fetch, Named(frontend.PORTAL, b"c").encode(frontend.CLOSE), sync()),
        said(tag("SELECT 3"), CLOSED, READY),
    )
    assert [(r.text, r.tags) for r in records] == [("SELECT g", ()), ("SELECT g", ("SELECT 3",))]


def test_copy_is_one_record_with_its_rows():
    (one,) = audit(
        sent(Query(b"COPY t FROM STDIN").encode()),
        said(message(b"G", b"\0\0\0")),
        sent(message(b"c")),
        said(tag("COPY 5000"), READY),
    )
    assert (one.tags, one.rows) == (("COPY 5000",), 5_000)


def test_binary_parameters_are_shown_as_bytes():
    (one,) = audit(
        sent(Parse(b"", b"SELECT $1, $2").encode()),
        sent(Bind(b"", b"", formats=(1, 0), values=(b"\0\0\0\x07", b"x")).encode(), Execute(b"").encode(), sync()),
        said(PARSED, BOUND, tag("SELECT 1"), READY),
    )
    assert one.parameters == ("\\x00000007", "x")


def test_binary_numbers_and_texts_of_known_types_are_shown_as_such():
    values = ((-7).to_bytes(8, "big", signed=True), b"lamp", b"\0")
    (one,) = audit(
        sent(Parse(b"", b"SELECT $1, $2, $3", types=(20, 25, 16)).encode()),
        sent(Bind(b"", b"", formats=(1,), values=values).encode(), Execute(b"").encode(), sync()),
        said(PARSED, BOUND, tag("SELECT 1"), READY),
    )
    assert one.parameters == ("-7", "lamp", "\\x00")


def test_redacted_parameters_are_none_and_the_statement_is_resolved():
    (one,) = audit(
        sent(Parse(b"s", b"SELECT $1").encode()),
        sent(message(b"b", b"\0s\0"), Execute(b"").encode(), sync()),
        said(PARSED, BOUND, tag("SELECT 1"), READY),
    )
    assert (one.text, one.name, one.parameters) == ("SELECT $1", "s", None)


def test_a_function_call_and_what_follows_it():
    one, other = audit(
        sent(message(b"F", (1_598).to_bytes(4, "big"), b"\0\0\0\0\0\0")),
        said(message(b"V", b"\xff\xff\xff\xff"), READY),
        sent(Query(b"SELECT 1").encode()),
        said(tag("SELECT 1"), READY),
    )
    assert (one.kind, one.text) == ("function", "function 1598")
    assert other.tags == ("SELECT 1",)


def test_a_redacted_function_call_is_none_that_gave_up_a_copy():
    (one,) = audit(sent(message(b"k", (1_598).to_bytes(4, "big"))), said(message(b"V", b"\xff\xff\xff\xff"), READY))
    assert one.text == "function 1598"
    (copy,) = audit(sent(Query(b"COPY t FROM STDIN").encode()), sent(message(b"f", b"no!\0")), said(DIVISION, READY))
    assert (copy.kind, copy.error) == ("simple", "22012")


def test_a_function_that_fails():
    (one,) = audit(sent(message(b"F", (7).to_bytes(4, "big"))), said(DIVISION, READY))
    assert (one.kind, one.error) == ("function", "22012")


def test_answers_that_nobody_waits_for_are_nobodys():
    assert audit(said(tag("SELECT 1"), DIVISION, READY, PARSED)) == []
    assert audit(sent(sync()), said(DIVISION, READY)) == []


def test_a_portal_that_nobody_bound_has_no_text_and_bytes_that_are_no_text_are_shown_as_such():
    (one,) = audit(sent(Execute(b"none").encode(), sync()), said(DIVISION, READY))
    assert one.text == ""
    (other,) = audit(sent(Parse(b"", b"SELECT \xff").encode(), Bind(b"", b"", values=(b"\xfe",)).encode(),
                          Execute(b"").encode(), sync()), said(PARSED, BOUND, tag("SELECT 1"), READY))  # fmt: skip
    assert (other.text, other.parameters) == ("SELECT \\xff", ("\\xfe",))


def test_what_was_never_answered_says_so():
    (one,) = audit(sent(Query(b"SELECT pg_sleep(60)").encode()))
    assert (one.text, one.tags, one.duration) == ("SELECT pg_sleep(60)", (), None)


def test_a_fatal_error_is_that_of_the_query_that_runs():
    fatal = Report("FATAL", "57P01", "terminating connection").error()
    (one,) = audit(sent(Query(b"SELECT pg_sleep(60)").encode()), said(fatal))
    assert one.error == "57P01"


def test_noise_is_no_recording():
    with pytest.raises(Corrupt, match="cannot be read"):
        audit((Direction.CLIENT, b"\xff\xff\xff\xff\xff"))


QUERIES = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30), max_size=12)


@given(QUERIES, st.lists(st.integers(1, 40), max_size=40))
def test_every_query_is_one_record_however_the_wire_was_cut(texts, sizes):
    client = b"".join(Query(text.encode()).encode() for text in texts)
    server = b"".join(tag("SELECT 1") + READY for _ in texts)
    pieces = [*cut(Direction.CLIENT, client, sizes), *cut(Direction.SERVER, server, sizes)]
    auditor = Auditor()
    records = [*auditor.feed(pieces), *auditor.close()]
    assert [record.text for record in records] == texts
    assert all(record.rows == 1 for record in records)


def cut(direction, data, sizes):
    for size in [*sizes, len(data)]:
        if data:
            yield Piece(direction, 0, data[:size])
        data = data[size:]


@given(st.lists(st.tuples(st.sampled_from(Direction), st.binary(max_size=60)), max_size=10))
def test_whatever_comes_it_is_read_or_refused(dialogue):
    auditor = Auditor()
    try:
        for who, data in dialogue:
            list(auditor.feed([Piece(who, 0, data)]))
    except Corrupt:
        return
    list(auditor.close())
