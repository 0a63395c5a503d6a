"""`lapse review run --alone` on files that other systems wrote: what it says on a terminal and as data."""

from __future__ import annotations

import gzip
import json

import pytest

from support.program import Program

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
MANAGED = [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMINISTRATOR}]
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
IAM = {
    "UserDetailList": [
        {
            "UserName": "ann", "UserId": "AIDA1", "Arn": "arn:aws:iam::111122223333:user/ann", "Path": "/",
            "CreateDate": "2019-01-01T00:00:00Z", "GroupList": [], "AttachedManagedPolicies": MANAGED,
        }
    ],
    "GroupDetailList": [],
    "RoleDetailList": [],
    "Policies": [
        {
            "PolicyName": "AdministratorAccess", "Arn": ADMINISTRATOR, "Path": "/", "DefaultVersionId": "v1",
            "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": True, "Document": EVERYTHING}],
        }
    ],
}  # fmt: skip
EVENT = {
    "eventVersion": "1.08", "eventTime": "2026-08-20T10:00:00Z", "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject", "awsRegion": "eu-west-1", "eventID": "e1", "eventType": "AwsApiCall",
    "recipientAccountId": "111122223333",
    "userIdentity": {"type": "IAMUser", "arn": IAM["UserDetailList"][0]["Arn"], "accountId": "111122223333",
        "principalId": "AIDA1", "userName": "ann"},
}  # fmt: skip


@pytest.fixture
def anywhere(tmp_path):
    """The program where nothing was set up."""
    return Program(tmp_path / "none", {})


@pytest.fixture
def files(tmp_path):
    """What a user has: users of an AWS account, a trail with a file that was cut short, keys with a line of none."""
    (tmp_path / "iam.json").write_text(json.dumps(IAM))
    trail = tmp_path / "trail"
    trail.mkdir()
    (trail / "a.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [EVENT]}).encode()))
    (trail / "b.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [EVENT]}).encode())[:40])
    (tmp_path / "keys").write_text("no key at all\n")
    (tmp_path / "people.csv").write_text("principal,name,kind,active\nann,Ann,person,true\n")
    return tmp_path


def arguments(files):
    kinds = {"aws-iam": "iam.json", "cloudtrail": "trail", "authorized-keys": "keys,host=web-1,account=deploy"}
    sources = [word for kind, place in kinds.items() for word in ("--source", f"{kind}={files / place}")]
    return ["review", "run", "--alone", *sources, "--people", str(files / "people.csv"), "--period", "2026-Q3"]


def test_what_was_found_and_what_could_not_be_read_is_said(anywhere, files):
    out = anywhere.run(*arguments(files), "--out", str(files / "out"))

    assert "`user/ann` reaches (administrator) in 1 step" in out.out
    assert "not read of cloudtrail trail: 1 record, such as b.json.gz: the file cannot be read further" in out.err
    assert "not read of authorized-keys keys: 1 record, such as keys:1: there is no key in it" in out.err
    assert "next: open the report, and check the pack with `lapse review verify" in out.out


def test_the_same_as_data(anywhere, files):
    found = anywhere.data(*arguments(files), "--out", str(files / "out"))

    assert ("M5", "critical") in {(one["detector"], one["severity"]) for one in found["findings"]}
    assert [(one["what"], one["records"]) for one in found["not_read"]] == [
        ("cloudtrail trail", 1), ("authorized-keys keys", 1)
    ]  # fmt: skip
    assert "L7" in found["not_assessed"]
    assert "M5" not in found["not_assessed"]
    anywhere.run("review", "verify", found["pack"])


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("cloudtrial={}/trail", 4, "there is no kind of source `cloudtrial`"),
        ("cloudtrail={}/none", 4, "to read as cloudtrail"),
        ("cloudtrail={}/trail,complet=yes", 2, "complete"),
        ("authorized-keys={}/keys", 2, "give the options `host` and `account`"),
    ],
)
def test_a_source_that_cannot_be_read_is_said_and_nothing_is_left(anywhere, files, source, code, said):
    words = ["review", "run", "--alone", "--source", source.format(files), "--out", str(files / "out")]

    assert said in anywhere.run(*words, expect=code).err
    assert not (files / "out").exists()


def test_files_of_evidence_that_are_damaged_or_called_wrongly_are_said(anywhere, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "accounts.csv").write_text("resource,account\n")
    (folder / "acess_observed.csv").write_text("resource,account\n")
    (folder / "grants.parquet").write_bytes(b"PAR1 not really")
    (folder / "principals.csv").write_bytes(
        "principal\nj\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen\n".encode("latin-1")
    )
    out = anywhere.run("review", "run", "--files", str(folder), "--period", "2026-Q3", "--out", str(tmp_path / "out"))
    assert "not all read of acess_observed.csv: not an evidence table, so it was not read" in out.err
    assert "not all read of grants.parquet: the file could not be read" in out.err
    assert "not all read of principals.csv: the file could not be read: it is not UTF-8\n" in out.err


def test_a_folder_without_evidence_is_refused(anywhere, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    words = ["review", "run", "--files", str(tmp_path), "--period", "2026-Q3", "--out", str(tmp_path / "out")]
    assert "there is no evidence in `" in anywhere.run(*words, expect=2).err
    assert not (tmp_path / "out").exists()


def test_what_is_odd_about_records_is_said(anywhere, tmp_path):
    line = "2036-07-01T09:00:00Z web-1 sshd[4]: Accepted publickey for ann from 10.0.0.1 port 22 ssh2\n"
    (tmp_path / "auth.log").write_text(line)
    words = ["review", "run", "--alone", "--source", f"sshd-log={tmp_path / 'auth.log'}", "--period", "2026-Q3"]
    out = anywhere.run(*words, "--out", str(tmp_path / "out"))
    assert "odd in sshd-log auth.log: lines that are later than the log was taken: a clock is wrong (1)\n" in out.err


def test_a_period_that_has_not_begun_is_refused(anywhere, files):
    words = ["review", "run", "--files", str(files), "--period", "2026-Q3", "--as-of", "2026-06-30"]
    assert "the period `2026-Q3` has not begun" in anywhere.run(*words, expect=2).err
