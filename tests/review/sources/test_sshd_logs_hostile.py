"""Damaged and forged logs of sshd: each line is counted, the others stay, no name passes for a login."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.sources.openssh.events import Event, message_of_sshd, message_of_sudo
from support.read_sources import read_as, short
from support.ssh_log_lines import ACCEPTED, CA, GONE, KEY, LEFT, after, classic, iso, journal, read_log, rfc5424


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense\n", "does not begin with a time"),
        (f"2026-13-01T10:00:00Z web-1 sshd[1]: {ACCEPTED}\n", "month must be in 1..12"),
        (f"0001-01-01T00:00:00+14:00 web-1 sshd[1]: {ACCEPTED}\n", "outside of the calendar"),
        (f"2026-07-01T10:00:00 web-1 sshd[1]: {ACCEPTED}\n", "option `timezone`"),
        (iso("a\0b"), "NUL"),
        (iso(ACCEPTED, host="=cmd()"), "is not a name of a host"),
        (classic(ACCEPTED), "option `timezone`"),
    ],
)
def test_a_damaged_line_is_rejected_and_the_others_stay(tmp_path, line, why):
    result = read_log(tmp_path, iso(ACCEPTED), line, iso(GONE, 5))
    assert result.report.rejected == 1
    assert why in result.report.examples[0]
    assert short(result.sessions, "ended_at") == [after(5)]


def test_there_is_no_29th_of_february_in_every_year(tmp_path):
    result = read_log(tmp_path, classic(ACCEPTED, "Feb 29 10:00:00"), year="2026", timezone="UTC")
    assert "no such time in 2026" in result.report.examples[0]
    assert len(read_log(tmp_path, classic(ACCEPTED, "Feb 29 10:00:00"), year="2024", timezone="UTC").sessions) == 1


def test_odd_bytes_huge_lines_and_cut_files_are_told(tmp_path):
    odd = iso(ACCEPTED.replace("alice", "M\xfcller")).encode("latin-1")
    huge = b"x" * (17 << 20) + b"\n"
    result = read_log(tmp_path, odd, huge, iso(GONE.replace("alice", "M\xfcller"), 5))
    assert short(result.sessions, "account", "ended_at") == [("Müller", after(5))]
    assert result.report.rejected == 1
    cut = gzip.compress("".join(iso(ACCEPTED, n, pid=str(n)) for n in range(2_000)).encode())[:-500]
    packed = read_log(tmp_path, cut, name="auth.log.gz", complete="yes")
    assert len(packed.sessions) > 500
    assert any("cannot be read further" in example for example in packed.report.examples)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"year": "soon"}, "is not a year"),
        ({"year": "99999"}, "is not a year"),
        ({"resource": "Not A Name"}, "is not a resource name"),
        ({"timezone": "Mars"}, "is not a time zone"),
        ({"complete": "1"}, "option `complete`"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options, says):
    with pytest.raises(InvalidInput, match=says):
        read_log(tmp_path, iso(ACCEPTED), **options)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(InvalidInput, match="has no file"):
        read_as("sshd-log", tmp_path / "log", tmp_path)


# Whatever a log says

texts = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=60)
@given(data=st.binary(max_size=400), good=st.booleans(), form=st.sampled_from([iso, classic, journal]))
def test_any_bytes_are_counted(tmp_path_factory, data, good, form):
    head = form(ACCEPTED) if good else ""
    result = read_log(tmp_path_factory.getbasetemp(), head, data, timezone="UTC", year="2026", complete="yes")
    assert len(result.sessions) >= good


@given(text=texts)
def test_any_message_means_something_or_nothing(text):
    assert message_of_sshd(text).event in Event
    assert message_of_sudo(text).event in Event
    assert message_of_sshd(f"Failed none for invalid user {text} from 1.1.1.1 port 5 ssh2").event is Event.REFUSED
    assert message_of_sshd(f"Invalid user {text} from 1.1.1.1 port 5").event is Event.REFUSED


@given(key_id=texts, account=st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True))
def test_any_key_id_is_found_whole(key_id, account):
    detail = f"ED25519-CERT {KEY} ID {key_id} (serial 7) CA ED25519 {CA}"
    found = message_of_sshd(f"Accepted publickey for {account} from 10.0.0.7 port 5 ssh2: {detail}")
    assert (found.event, found.account, found.key_id, found.key, found.authority) == (
        Event.LOGIN,
        account,
        key_id,
        KEY,
        CA,
    )


@settings(max_examples=60)
@given(cut=st.integers(min_value=0, max_value=420), form=st.sampled_from([iso, rfc5424, journal]))
def test_a_log_that_was_cut_anywhere_has_what_comes_before(tmp_path_factory, cut, form):
    whole = form(ACCEPTED) + form(LEFT, 5)
    result = read_log(tmp_path_factory.getbasetemp(), whole[:cut])
    assert (cut >= len(form(ACCEPTED)) - 1) <= len(result.sessions) <= 1
