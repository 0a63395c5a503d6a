"""Files of CloudTrail as they lie around: in whatever folders and forms, delivered twice, broken, hostile, many."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput, NotFound
from lapse.review.model import Coverage
from lapse.review.sources.aws import trail_parts, trail_rows, unpacked
from lapse.review.sources.aws.trail_seen import Seen
from support.aws_files import ACCOUNT, event, log, problems, read_as, user, write

OTHER = "999900001111"


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def read(place, tmp_path, **options):
    return read_as("cloudtrail", place, tmp_path, **options)


def read_events(tmp_path, *events, **options):
    write(tmp_path, log__json=log(*events))
    return read(tmp_path / "log.json", tmp_path, **options)


def assume_role(identity, role="ops", account=ACCOUNT, key="ASIANEW", name="ann@example.com"):
    return event(
        "AssumeRole",
        "sts",
        userIdentity=identity,
        requestParameters={"roleArn": f"arn:aws:iam::{account}:role/team/{role}", "roleSessionName": name},
        responseElements={"credentials": {"accessKeyId": key, "sessionToken": "very secret"}},
        resources=[{"ARN": f"arn:aws:iam::{account}:role/team/{role}"}],
    )


def change(name, when, **asked):
    return event(name, "iam", at=f"2026-07-{when}:00Z", requestParameters=asked, userIdentity=user("bob"))


# Files as they lie there


FOLDER = f"AWSLogs_S_{ACCOUNT}_S_CloudTrail_S_eu-central-1_S_2026_S_07_S_01_S_{ACCOUNT}_CloudTrail_eu-central-1"


def test_a_bucket_is_read_with_all_its_folders_and_what_is_no_log_is_named(tmp_path):
    place = write(
        tmp_path / "bucket",
        **{
            f"{FOLDER}_20260701T1000Z_a__json__gz": log(event(), event()),
            f"{FOLDER}_20260701T1005Z_b__json__gz": log(event("PutObject")),
            f"AWSLogs_S_{ACCOUNT}_S_CloudTrail-Digest_S_eu-central-1_S_x__json__gz": b"{}",
            f"AWSLogs_S_{ACCOUNT}_S_CloudTrail-Insight_S_eu-central-1_S_x__json__gz": b"{}",
            "README__md": b"# mine",
            "digest__json": json.dumps({"digestS3Object": "x", "logFiles": []}).encode(),
        },
    )
    result = read(place, tmp_path)
    assert [row["action"] for row in result.usage] == ["s3:GetObject", "s3:GetObject", "s3:PutObject"]
    assert result.report.skipped == {
        "a digest file, which has no records": 2,
        "a file of Insights, which are no events": 1,
        "a file whose name is not that of a log": 1,
    }
    assert len(result.report.hashes) == result.report.files == 3
    assert result.manifest.problems == ()


@pytest.mark.parametrize(
    "content",
    [
        log(event(), event()),
        json.dumps({"Records": [event(), event()]}, indent=2).encode("utf-8-sig"),
        json.dumps({"Records": [event(), event()]}).encode("utf-16"),
        json.dumps([event(), event()]).encode(),
        b"\n".join(json.dumps(event()).encode() for _ in range(2)),
        b"\r\n\r\n".join(json.dumps(event()).encode() for _ in range(2)),
        log(event()) + b"\n" + log(event()) + b"\n",
        json.dumps({"Events": [{"EventId": "x", "CloudTrailEvent": json.dumps(event())} for _ in range(2)]}).encode(),
        gzip.compress(json.dumps(event()).encode() + b"\n") + gzip.compress(json.dumps(event()).encode()),
    ],
    ids=["log", "indented", "utf-16", "list", "lines", "sparse lines", "logs in lines", "lookup-events", "members"],
)
def test_records_are_found_however_they_are_written_down(tmp_path, content):
    write(tmp_path, log__json=content)
    result = read(tmp_path / "log.json", tmp_path)
    assert (result.report.used, result.report.records) == (2, 2)


def test_an_event_that_was_delivered_twice_counts_once(tmp_path):
    twice = [event(), assume_role(user("bob")), change("AttachUserPolicy", "01T10:00", userName="a", policyArn="p")]
    place = write(tmp_path / "in", a__json=log(*twice, event()), b__json__gz=log(*twice, twice[0], event()))
    result = read(place, tmp_path)
    assert (result.report.records, result.report.used) == (9, 5)
    assert result.report.skipped == {"seen already": 4}
    assert (len(result.usage), len(result.sessions), len(result.access_periods)) == (5, 1, 1)


def test_beyond_what_can_be_remembered_copies_are_counted_and_told():
    seen = Seen(most=3)
    assert seen.are_new([b"a", b"b"], [1, 1]) is None
    assert seen.are_new([b"a", b"c", b"c"], [1, 1, 1]) == [False, True, False]
    assert seen.are_new([b"d", b""], [2, 2]) == [True, True]
    assert seen.unsure == 0
    assert seen.are_new([b"a"], [1]) is None
    assert seen.unsure == 1


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b""]), st.integers(0, 2)), max_size=20), st.data())
def test_an_event_is_new_once_in_whatever_parts_it_comes(found, data):
    seen, first = Seen(), set()
    while found:
        size = data.draw(st.integers(1, len(found)))
        part, found = found[:size], found[size:]
        new = seen.are_new([one for one, _ in part], [hour for _, hour in part]) or [True] * size
        for key, is_new in zip(part, new, strict=True):
            assert is_new is (not key[0] or key not in first)
            first.add(key)


def test_the_resource_may_be_named(tmp_path):
    events = (event(), event(recipientAccountId=OTHER))
    for option, names in [
        (f"{ACCOUNT}:prod", ["prod", f"aws-{OTHER}"]),
        (f"{ACCOUNT}:prod {OTHER}:test", ["prod", "test"]),
        ("cloud-{account}", [f"cloud-{ACCOUNT}", f"cloud-{OTHER}"]),
    ]:
        assert [row["resource"] for row in read_events(tmp_path, *events, resource=option).usage] == names


@pytest.mark.parametrize(
    "options",
    [{"resource": "prod"}, {"resource": "Prod {account}"}, {"complete": "maybe"}, {"gap": "soon"}, {"region": "eu"}],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options):
    write(tmp_path, log__json=log())
    with pytest.raises(InvalidInput):
        read(tmp_path / "log.json", tmp_path, **options)


def test_what_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(NotFound):
        read(tmp_path / "none", tmp_path)


# Hostile files


def test_a_record_that_cannot_be_read_is_counted_with_its_place_and_the_others_stay(tmp_path):
    bad = [
        None,
        3,
        {"eventTime": "2026-07-01T10:00:00Z"},
        event(at="yesterday"),
        event(at="0001-01-01T00:00:00+14:00"),
        event(at="9999-12-31T23:59:59-14:00"),
        event(at="2026-07-01T10:00:00"),
        event(userAgent=7),
        event(recipientAccountId="../../etc", userIdentity=None),
        event(recipientAccountId=None, userIdentity=None),
    ]
    result = read_events(tmp_path, event(), *bad, event())
    assert (result.report.used, result.report.rejected) == (2, 10)
    assert result.report.examples[0].startswith("log.json: record 2")
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


@pytest.mark.parametrize("cut", [1, 50, 400])
def test_of_a_file_that_is_cut_off_everything_before_is_read(tmp_path, cut):
    content = log(*(event() for _ in range(9)))
    write(tmp_path, log__json=content[:-cut])
    result = read(tmp_path / "log.json", tmp_path)
    assert result.report.used >= 8 - cut // 400
    assert result.report.rejected == (1 if cut > 1 else result.report.rejected)


def test_of_a_packed_file_that_is_cut_off_everything_before_is_read(tmp_path):
    packed = gzip.compress(log(*(event() for _ in range(500))))
    (tmp_path / "log.json.gz").write_bytes(packed[: len(packed) * 2 // 3])
    result = read(tmp_path / "log.json.gz", tmp_path)
    assert 100 < result.report.used < 500
    assert any("ends early" in example for example in result.report.examples)


@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_a_file_that_unpacks_to_far_more_than_any_log_is_cut_short(tmp_path, monkeypatch, library):
    if library == "zlib":
        monkeypatch.setattr(unpacked, "_zlib", unpacked.zlib)
    monkeypatch.setattr(unpacked, "FREE_EXPANSION", 1 << 20)
    (tmp_path / "log.json.gz").write_bytes(gzip.compress(b" " * (8 << 20) + log(event())))
    result = read(tmp_path / "log.json.gz", tmp_path)
    assert (result.report.used, result.usage) == (0, [])
    assert any("which no log does" in example for example in result.report.examples)


def test_damaged_bytes_of_a_packed_file_are_reported(tmp_path):
    packed = bytearray(gzip.compress(log(event())))
    packed[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "log.json.gz").write_bytes(packed)
    assert read(tmp_path / "log.json.gz", tmp_path).report.rejected >= 1


def test_a_file_too_large_to_be_read_as_a_whole_is_read_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(trail_parts, "unpacked", lambda path: unpacked.unpacked(path, most=1000))
    monkeypatch.setattr(trail_parts, "LONGEST_LINE", 10_000)
    lines = [json.dumps(event()).encode() for _ in range(20)]
    place = write(
        tmp_path / "in",
        lines__json__gz=b"\n".join([*lines, b"", b"oops", b'{"x": "' + b"y" * 20_000 + b'"}', lines[0]]),
        one__json=log(*(event() for _ in range(60))),
    )
    result = read(place, tmp_path)
    assert (result.report.used, result.report.rejected) == (20, 3)
    assert result.report.skipped == {"seen already": 1}
    assert any("lines.json.gz:22" in example for example in result.report.examples)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1000,
        b"<html><body>Access denied</body></html>",
        b'{"a": 1}',
        b'{"Records": "none"}',
        b'{"Records": null}',
        b'{"Records":' + b"[" * 100_000,
        b'{"Records":[' + b'{"a":' * 100_000,
        b"\xff\xfe\xfa",
        b"\x1f\x8b",
        b'{"Records":[{}]} trailing',
        b'[{"eventTime": 1}]',
        b'{"Events": [{"CloudTrailEvent": "no"}]}',
        b'{"Events": [{"CloudTrailEvent": "{\\"a\\": \\"\\ud800\\"}"}]}',
    ],
)
def test_what_is_no_log_is_rejected_and_harms_no_other_file(tmp_path, content):
    place = write(tmp_path / "in", a__json=content, b__json=log(event()))
    result = read(place, tmp_path)
    assert result.report.used == 1
    assert result.report.rejected >= 1


def test_what_people_write_into_names_is_kept_as_it_is(tmp_path):
    evil = ["<script>alert(1)</script>", '=cmd|"/c calc"!A0', "\u202egnp.exe", "a\nb", "ünïcode 🎉", "x" * 5000]
    result = read_events(tmp_path, *(event(userAgent=text, userIdentity=user(text)) for text in evil))
    assert [row["device"] for row in result.usage[:5]] == evil[:5]
    assert len(result.usage[5]["device"]) == trail_rows.LONGEST_TEXT
    assert problems(result) == {"texts that were too long were cut": 3}


def test_bytes_that_are_not_utf_8_are_read_and_told(tmp_path):
    content = log(event(), event(userAgent="@@")).replace(b"@@", "café".encode("cp1252"))
    write(tmp_path, log__json=content)
    result = read(tmp_path / "log.json", tmp_path)
    assert [row["device"] for row in result.usage] == ["aws-cli/2.13.0", "café"]
    assert problems(result) == {"records that are not UTF-8 were read as Windows-1252": 1}


def test_changes_beyond_what_can_be_put_together_are_a_gap(tmp_path, monkeypatch):
    monkeypatch.setattr("lapse.review.sources.aws.trail_reader.MOST_CHANGES", 1)
    result = read_events(
        tmp_path, *(change("AttachUserPolicy", "01T10:00", userName=n, policyArn="p") for n in ("a", "b"))
    )
    assert len(result.access_periods) == 1
    assert result.manifest.table("access_periods").coverage is Coverage.PARTIAL


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["AssumedRole", ACCOUNT, "arn:"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
FIELDS = [*event(), "errorCode", "resources"]
broken = st.dictionaries(st.sampled_from(FIELDS), values, max_size=4).map(lambda part: event() | part) | values


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(broken, max_size=5))
def test_whatever_the_records_are_each_is_counted(tmp_path, records):
    write(tmp_path, fuzz__json=json.dumps({"Records": records}).encode())
    result = read(tmp_path / "fuzz.json", tmp_path)
    assert result.report.records == len(records)
    assert len(result.usage) == result.report.used


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda tail: log(event()) + tail), st.booleans())
def test_whatever_the_bytes_are_nothing_is_raised(tmp_path, content, packed):
    write(tmp_path, fuzz__json=gzip.compress(content) if packed else content)
    assert read(tmp_path / "fuzz.json", tmp_path).report.records >= (1 if content.strip(b"\0") else 0)


def test_times_with_an_offset_are_the_same_instants(tmp_path):
    result = read_events(tmp_path, event(at="2026-07-01T12:00:00+02:00"), event(at="2026-07-01T10:00:00.5Z"))
    assert [row["started_at"].isoformat() for row in result.usage] == [
        "2026-07-01T10:00:00+00:00",
        "2026-07-01T10:00:00.500000+00:00",
    ]


def test_more_accounts_than_there_can_be_are_covered_by_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("lapse.review.sources.aws.trail_reader.MOST_ACCOUNTS", 1)
    result = read_events(tmp_path, event(), event(recipientAccountId=OTHER))
    assert (len(result.usage), len(result.coverage)) == (2, 1)
    assert list(problems(result)) == ["logs of more AWS accounts than can be told apart: the others are not covered"]


# What was lost is not known


def covered(result):
    return [(row["from_at"], row["to_at"], row["complete"]) for row in result.coverage]


def test_around_a_file_that_is_cut_off_not_all_is_known(tmp_path):
    write(tmp_path / "in", a__json=log(*(event(at=f"2026-07-01T{hour:02d}:00:00Z") for hour in range(10))))
    write(tmp_path / "in", b__json=log(event(at="2026-07-01T05:00:00Z"), event())[:-100])
    assert covered(read(tmp_path / "in", tmp_path, complete="yes")) == [
        (at("01T00:00"), at("01T03:59:59"), True),
        (at("01T03:59:59"), at("01T06:00:01"), False),
        (at("01T06:00:01"), at("01T09:00"), True),
    ]


def test_of_a_file_that_cannot_be_read_the_day_before_its_delivery_is_not_known(tmp_path):
    write(tmp_path / "in", a__json=log(*(event(at=f"2026-07-{day:02d}T10:00:00Z") for day in (1, 2, 3))))
    write(tmp_path / "in", x_20260702T1200Z_y__json=b"gone")
    assert covered(read(tmp_path / "in", tmp_path, complete="yes", gap="1d")) == [
        (at("01T10:00"), at("01T11:59:59"), True),
        (at("01T11:59:59"), at("02T12:00:01"), False),
        (at("02T12:00:01"), at("03T10:00"), True),
    ]


def test_nothing_is_complete_beside_a_file_of_which_nothing_is_known(tmp_path):
    place = write(tmp_path / "in", a__json=log(event()), b__json=b"gone")
    result = read(place, tmp_path, complete="yes")
    assert [complete for _, _, complete in covered(result)] == [False]
    assert problems(result)["files of which nobody knows the time could not be read: no window is complete"] == 1
