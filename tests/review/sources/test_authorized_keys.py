"""authorized_keys files as evidence: who gets into which account of which host, with which key, until when."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from lapse.domain.errors import InvalidInput
from lapse.review.collection.identities import Rules
from lapse.review.sources.openssh.entries import Ignored, read_entry
from lapse.review.sources.openssh.places import Place, place_of
from support.read_sources import people, read_as, short
from support.ssh_keys import TAKEN, alone, fingerprint, key, read_keys


def test_a_key_opens_the_account(tmp_path):
    rules = Rules(keys={fingerprint(): frozenset({"ann"})})
    result = alone(tmp_path, key(comment="ann's laptop"), rules=rules, complete="yes")
    assert short(result.accounts, "resource", "account", "principal", "powers", "observed") == [
        ("ssh-web-1", "alice", "ann", None, True)
    ]
    (access,) = result.access_observed
    assert {k: v for k, v in access.items() if v is not None} == {
        "resource": "ssh-web-1",
        "account": "alice",
        "role": "alice",
        "holding": "direct",
        "depth": 0,
        "observed_at": TAKEN,
        "principal": "ann",
    }
    (credential,) = result.credentials
    assert {k: v for k, v in credential.items() if v is not None} == {
        "credential_id": fingerprint(),
        "resource": "ssh-web-1",
        "kind": "key",
        "account": "alice",
        "principal": "ann",
    }
    (host,) = result.target_reads
    assert {k: v for k, v in host.items() if v is not None} == {
        "resource": "ssh-web-1", "finished_at": TAKEN, "complete": True, "accounts": 1, "memberships": 1}  # fmt: skip
    assert short(result.links, "account", "rule") == [("alice", "ssh key")]
    assert result.problems == {}


def test_root_has_the_power_of_root(tmp_path):
    result = read_keys(tmp_path, {"web-1/root/authorized_keys": [key()]})
    assert short(result.accounts + result.access_observed, "account", "powers") == [("root", "root")] * 2


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("web-1/alice/authorized_keys", Place("web-1", "alice")),
        ("web-1/alice/authorized_keys2", Place("web-1", "alice")),
        ("alice/authorized_keys", Place("", "alice")),
        ("home/alice/.ssh/authorized_keys", Place("", "alice")),
        ("root/.ssh/authorized_keys", Place("", "root")),
        ("web-1/home/alice/.ssh/authorized_keys", Place("web-1", "alice")),
        ("web-1/root/.ssh/authorized_keys", Place("web-1", "root")),
        ("etc/ssh/authorized_keys/alice", Place("", "alice")),
        ("web-1/etc/ssh/authorized_keys.d/alice", Place("web-1", "alice")),
        ("a/b/home/alice/.ssh/authorized_keys", None),
        ("var/lib/postgresql/.ssh/authorized_keys", None),
        ("a/b/c/authorized_keys", None),
        ("authorized_keys", None),
        ("web-1/alice/authorized_keys.bak", None),
        ("web-1/alice/id_ed25519.pub", None),
    ],
)
def test_layouts(path, place):
    assert place_of(path) == place


def test_a_host_that_the_layout_does_not_say_must_be_stated(tmp_path):
    files = {"home/alice/.ssh/authorized_keys": [key()]}
    with pytest.raises(InvalidInput, match="does not say of which host"):
        read_keys(tmp_path, files)
    assert short(read_keys(tmp_path, files, host="Web-1").accounts, "resource") == ["ssh-web-1"]
    assert short(read_keys(tmp_path, files, host="web-1", resource="host-{host}").accounts, "resource") == [
        "host-web-1"
    ]


def test_a_single_file_needs_host_and_account(tmp_path):
    file = tmp_path / "authorized_keys"
    file.write_text(key() + "\n")
    with pytest.raises(InvalidInput, match="does not say whose"):
        read_as("authorized-keys", file, tmp_path)
    result = read_as("authorized-keys", file, tmp_path, host="web-1", account="alice")
    assert short(result.credentials, "account") == ["alice"]


def test_the_files_of_one_account_are_one_account(tmp_path):
    files = {
        "web-1/alice/authorized_keys": [key(number=1)],
        "web-1/home/alice/.ssh/authorized_keys2": [key(number=2)],
        "web-1/etc/ssh/authorized_keys/alice": [key(number=3)],
        "web-1/bob/authorized_keys": [],
    }
    result = read_keys(tmp_path, files)
    assert short(result.accounts, "account") == ["alice", "bob"]
    assert short(result.access_observed, "account") == ["alice"]
    assert len(result.credentials) == 3
    assert short(result.target_reads, "accounts", "memberships") == [(2, 1)]


def test_without_a_time_it_is_that_of_the_newest_file(tmp_path):
    folder = tmp_path / "k" / "web-1"
    for account, at in (("alice", 1_780_000_000), ("bob", 1_780_000_500)):
        (folder / account).mkdir(parents=True)
        (folder / account / "authorized_keys").write_text(key() + "\n")
        os.utime(folder / account / "authorized_keys", (at, at))
    result = read_as("authorized-keys", tmp_path / "k", tmp_path)
    assert short(result.target_reads, "finished_at") == [datetime.fromtimestamp(1_780_000_500, UTC)]


# What stands in a line


@pytest.mark.parametrize(
    "kind",
    [
        "ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp521", "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com", "ssh-mldsa44-ed25519@openssh.com",
    ],
)  # fmt: skip
def test_every_kind_of_key_is_read(tmp_path, kind):
    result = alone(tmp_path, key(kind))
    assert short(result.credentials, "credential_id") == [fingerprint(kind)]
    assert result.problems == {}


def test_a_kind_that_is_new_is_read_and_told(tmp_path):
    result = alone(tmp_path, key("ssh-falcon1024@example.com"))
    assert len(result.credentials) == 1
    assert any("of a kind that is not known here" in what for what in result.problems)


@pytest.mark.parametrize(
    "options",
    [
        "restrict", "no-pty,no-port-forwarding", "NO-X11-Forwarding", 'from="10.0.0.0/8,*.example.com"',
        'command="rsync --server \\"a b\\" # x",restrict', "restrict,pty", 'environment="A=b c"', 'tunnel="0"',
        'permitopen="192.0.2.1:80",permitopen="192.0.2.2:25"', 'permitlisten="localhost:8080"',
        "verify-required", "no-touch-required", 'command="a\\b"', 'command=""',
    ],
)  # fmt: skip
def test_options_are_understood(tmp_path, options):
    assert short(alone(tmp_path, f"{options} {key()}").credentials, "credential_id") == [fingerprint()]
    assert read_entry(f"\t{options}\t {key(comment='a b  c')}").comment == "a b  c"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"sudo {key()}", "options that sshd does not know"),
        (f"command=ls {key()}", "options that sshd does not know"),
        (f'command="a",command="b" {key()}', "options that sshd does not know"),
        (f"restrict, {key()}", "options that sshd does not know"),
        (f'environment="no" {key()}', "options that sshd does not know"),
        (f'expiry-time="tomorrow" {key()}', "options that sshd does not know"),
        (f'expiry-time="20261399" {key()}', "options that sshd does not know"),
        (f'principals="a" {key()}', "no authority's"),
        (key("ssh-ed25519-cert-v01@openssh.com"), "a certificate"),
        ("1024 35 " + "1" * 300 + " alice@example.com", "protocol 1"),
    ],
)
def test_what_sshd_does_not_take_is_no_access_and_says_why(tmp_path, line, why):
    result = alone(tmp_path, line)
    assert (result.credentials, result.access_observed) == ([], [])
    assert [why in reason for reason in result.report.skipped] == [True]
    with pytest.raises(Ignored):
        read_entry(line)


@pytest.mark.parametrize(
    ("options", "until"),
    [
        ('expiry-time="20270101Z"', "2027-01-01T00:00:00Z"),
        ('expiry-time="202701011230Z"', "2027-01-01T12:30:00Z"),
        ('expiry-time="20270101123045UTC"', "2027-01-01T12:30:45Z"),
        ('expiry-time="20270101Z",expiry-time="20260101Z"', "2026-01-01T00:00:00Z"),
    ],
)
def test_a_key_ends_with_its_expiry_time(tmp_path, options, until):
    result = alone(tmp_path, f"{options} {key()}")
    assert short(result.credentials + result.access_observed, "valid_until") == [datetime.fromisoformat(until)] * 2
    assert short(result.accounts, "valid_until") == [None]


def test_an_expiry_in_the_hosts_own_time_is_at_the_latest_what_it_can_be(tmp_path):
    line = f'expiry-time="20270101" {key()}'
    stated = alone(tmp_path, line, timezone="Europe/Berlin")
    assert short(stated.credentials, "valid_until") == [datetime(2026, 12, 31, 23, tzinfo=UTC)]
    unknown = alone(tmp_path, line)
    assert short(unknown.credentials, "valid_until") == [datetime(2027, 1, 1, 12, tzinfo=UTC)]
    assert any("the latest is taken" in what for what in unknown.problems)


def test_access_ends_when_the_last_key_does(tmp_path):
    lines = [f'expiry-time="20270101Z" {key(number=1)}', f'expiry-time="20280101Z" {key(number=2)}']
    assert short(alone(tmp_path, *lines).access_observed, "valid_until") == [datetime(2028, 1, 1, tzinfo=UTC)]
    assert short(alone(tmp_path, *lines, key(number=3)).access_observed, "valid_until") == [None]


def test_an_authority_opens_the_account_to_whoever_it_signs_for(tmp_path):
    result = alone(tmp_path, f'cert-authority,principals="alice,bob" {key(comment="ann@example.com")}', rules=Rules(
        mails={"ann@example.com": frozenset({"ann"})}))  # fmt: skip
    assert short(result.credentials, "kind", "principal") == [("certificate authority", None)]
    assert short(result.access_observed, "principal") == [None]
    assert any("a certificate of an authority" in what for what in result.problems)


def test_comments_and_empty_lines_are_no_keys(tmp_path):
    result = alone(tmp_path, "# laptop", "", "   # old: " + key(), "\t", key())
    assert result.report.skipped == {"a comment": 2}
    assert len(result.credentials) == 1


# Whose keys they are


def test_the_comment_names_a_person_if_it_is_a_mail_address(tmp_path):
    rules = Rules(mails={"ann@example.com": frozenset({"ann"})})
    result = alone(tmp_path, key(comment="Ann@Example.com"), rules=rules)
    assert short(result.credentials + result.access_observed + result.accounts, "principal") == ["ann"] * 3
    other = alone(tmp_path, key(comment="see ann@example.com"), rules=rules)
    assert short(other.credentials, "principal") == [None]


def test_an_account_that_several_persons_share_is_access_of_each(tmp_path):
    rules = Rules(keys={fingerprint(number=1): frozenset({"ann"}), fingerprint(number=2): frozenset({"bob"})})
    result = read_keys(tmp_path, {"web-1/deploy/authorized_keys": [key(number=n) for n in (1, 2, 3)]}, rules)
    assert sorted(short(result.access_observed, "principal", "via"), key=str) == [
        ("ann", fingerprint(number=1)),
        ("bob", fingerprint(number=2)),
        (None, fingerprint(number=3)),
    ]
    assert short(result.accounts, "principal") == [None]


def test_another_persons_key_in_an_account_is_that_persons_access(tmp_path):
    rules = Rules(keys={fingerprint(): frozenset({"bob"})}, logins={"alice": frozenset({"ann"})})
    result = alone(tmp_path, key(), rules=rules)
    assert short(result.access_observed + result.credentials, "principal") == ["bob", "bob"]
    assert short(result.accounts, "principal") == ["ann"]


def test_one_key_in_accounts_of_two_persons_is_told(tmp_path):
    files = {f"web-{n}/{account}/authorized_keys": [key()] for n, account in ((1, "alice"), (2, "bob"), (2, "root"))}
    result = read_keys(tmp_path, files, people(alice="ann", bob="bob.b"))
    problem = result.problems["keys that open accounts of several people"]
    assert problem.rows == 1
    assert problem.examples == (f"{fingerprint()}: alice of ann, bob of bob.b",)
    own = {f"web-{n}/{account}/authorized_keys": [key()] for n, account in ((1, "alice"), (2, "alice"), (2, "root"))}
    assert read_keys(tmp_path, own, people(alice="ann")).problems == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (key("ssh-rsa", bits=1024), "an RSA key of 1024 bits"),
        (key("ssh-rsa", bits=2040), "an RSA key of 2040 bits"),
        (key("ssh-dss", bits=1024), "a DSA key"),
        (key("ssh-rsa", bits=2048), None),
    ],
)
def test_weak_keys_are_told(tmp_path, line, says):
    result = alone(tmp_path, line)
    assert len(result.credentials) == 1
    examples = [example for problem in result.problems.values() for example in problem.examples]
    assert [says in example for example in examples] == ([True] if says else [])
