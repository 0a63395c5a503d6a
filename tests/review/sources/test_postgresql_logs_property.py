"""Whatever is in a PostgreSQL log: nothing is raised, every record is counted once, nobody can write another's line."""

from __future__ import annotations

import gzip
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from support.postgres_log_lines import audit, csv_line, end, json_line, login, minute, quoted, server, statement
from support.read_sources import read_as, short

ANOTHER = "66827f21.1f5"
_numbers = itertools.count(1)
SOME = settings(max_examples=60)

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
nasty = st.lists(
    st.one_of(
        words, st.sampled_from(['"', '""', ",", "\n", "\r\n", '",', login(1, session=ANOTHER, user="root"), "--"])
    ),
    max_size=8,
).map("".join)


def read(folder, *lines, name="a.csv", **options):
    file = folder / f"{next(_numbers)}-{name}"
    file.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return read_as("postgresql-log", file, folder, resource="pg", taken_at="2026-10-01T00:00:00Z", **options)


def as_read(text):
    """Ends of lines are the same on every system."""
    return text.replace("\r\n", "\n")


@SOME
@given(text=nasty, name=nasty.filter(lambda text: text.strip("\ufeff") != ""))
def test_a_statement_and_a_name_stay_what_they_are(tmp_path_factory, text, name):
    folder = tmp_path_factory.getbasetemp()
    lines = (
        login(1, user=name),
        statement(text, 2, user=name, application=text),
        csv_line("no such thing", 3, user=name, severity="ERROR", state="42000", query=text),
        audit(f"SESSION,1,1,READ,SELECT,,,{quoted(text)},<none>", 4, user=name),
        end(5, user=name),
    )
    result = read(folder, *lines)
    assert (result.report.used, result.report.rejected) == (4, 0)
    assert short(result.sessions, "account") == [as_read(name)]
    assert short(result.usage, "device")[0] == (as_read(text) or None)


@SOME
@given(text=nasty)
def test_jsonlog_too(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    lines = (json_line(f"statement: {text}", 1, user=text or "x"), json_line("disconnection: x", 2, user=text or "x"))
    result = read(folder, *lines, name="a.json")
    assert (result.report.used, result.report.rejected) == (2, 0)
    assert short(result.sessions, "account") == [text or "x"]


@SOME
@given(data=st.binary(max_size=600), before=st.booleans(), packed=st.booleans())
def test_any_bytes_are_counted(tmp_path_factory, data, before, packed):
    folder = tmp_path_factory.getbasetemp()
    whole = (login(1).encode() if before else b"") + data
    result = read(folder, gzip.compress(whole)[: -1 if data else None] if packed else whole, complete="yes")
    if data and packed:
        assert result.report.rejected >= 1


@SOME
@given(cut=st.integers(min_value=1, max_value=900), mended=st.booleans())
def test_a_log_that_was_cut_anywhere_has_what_comes_before_and_after(tmp_path_factory, cut, mended):
    folder = tmp_path_factory.getbasetemp()
    whole = login(1) + statement("select 'a\n\"b\"' from t", 2) + end(3)
    part = whole[:cut] + ("\n" if mended else "")
    rest = login(1, session=ANOTHER, at=minute(1)) + end(2, session=ANOTHER, at=minute(2))
    result = read(folder, part, rest if mended else "", complete="yes")
    ended = [row["session_id"] for row in result.sessions if row["ended_at"]]
    assert (ANOTHER in ended) == mended
    # Less than this is cut from the columns that older versions do not have.
    if cut < len(whole) - 28:
        assert result.report.used < 3 + 2 * mended


_LINES = [
    login(1),
    statement("grant a to x", 2, at=minute(1)),
    audit("SESSION,1,1,READ,SELECT,TABLE,public.t,x,y", 3, at=minute(2)),
    end(4, at=minute(3)),
    login(1, session=ANOTHER, at=minute(1)),
    end(2, session=ANOTHER, at=minute(9)),
    server("checkpoint complete", 1, at=minute(4)),
]


@SOME
@given(order=st.permutations(range(len(_LINES))), again=st.lists(st.sampled_from(_LINES), max_size=6))
def test_order_and_repetition_change_nothing_but_beginnings(tmp_path_factory, order, again):
    folder = tmp_path_factory.getbasetemp()
    result = read(folder, *(_LINES[place] for place in order), *again)
    assert sorted(short(result.sessions, "session_id", "ended_at")) == sorted(
        short(read(folder, *_LINES).sessions, "session_id", "ended_at")
    )
    assert len(result.usage) == 4
    assert result.report.skipped.get("a line that was read before", 0) == len(again)
    assert short(result.access_periods, "account", "role") == [("x", "a")]
