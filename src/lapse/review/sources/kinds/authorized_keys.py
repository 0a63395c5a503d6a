"""Source `authorized-keys`: who can log in to which account of which host with a key, from copies of the files.

Guarantee: every line is a key that sshd takes, is left out with the reason for which sshd leaves it out, or is
rejected; a host whose files were not all there is never said to be read completely. Called by `registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.collection.identities import Hints
from lapse.review.sources.clocks import Clock, clock_of, flag, taken_at
from lapse.review.sources.files import lines, name_below
from lapse.review.sources.notes import Notes
from lapse.review.sources.openssh.entries import Entry, Expiry, Ignored, read_entry
from lapse.review.sources.openssh.hosts import Hosts
from lapse.review.sources.openssh.places import Place, files_of_keys, looks_like_keys, place_of, single_place
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source
from lapse.review.sources.windows import later

_MAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,190}\.[^@\s<>.]{1,63}")
_MOST_PEOPLE = 1_000
_MOST_KEYS = 500_000
_WEST = timedelta(hours=12)
"""How far behind UTC the clocks are that are furthest behind."""
_NOT_STATED = "whether these are all keys of the host is not stated (option `complete`)"


@dataclass(frozen=True, slots=True)
class _File:
    place: Place
    name: str
    path: Path


@dataclass(slots=True)
class _Account:
    """What the keys of one account come to. `people` are those whom keys name, with one of each one's keys."""

    name: str
    people: dict[str, Hints] = field(default_factory=dict)
    nobody: str = ""
    keys: int = 0
    ends: datetime | None = None
    endless: bool = False


@dataclass(slots=True)
class _Keys:
    """The state of the source while it is read."""

    reading: Reading
    hosts: Hosts
    clock: Clock
    notes: Notes
    taken_at: datetime | None
    gaps: list[str] = field(default_factory=list)
    owners: dict[str, dict[str, str]] = field(default_factory=dict)

    def host(self, host: str, files: Iterable[_File]) -> None:
        """All files of one host."""
        files = list(files)
        try:
            resource = self.hosts.resource(host)
        except ValueError as error:
            for file in files:
                self.reading.file(file.name, file.path)
                self.reading.reject(file.name, str(error))
            return
        at, lost, held = self._observed_at(files), self.reading.rejected, 0
        accounts = 0
        for account, own in groupby(files, key=lambda file: file.place.account):
            found = _Account(account)
            for file in own:
                self._file(resource, file, found)
            held += self._account(resource, found, at)
            accounts += 1
        self._host_read(resource, at, accounts, held, lost)

    def finish(self) -> None:
        """Nothing follows: keys that open accounts of several people are told."""
        for fingerprint, owners in self.owners.items():
            if len(set(owners.values())) > 1:
                what = "keys that open accounts of several people"
                whose = ", ".join(f"{account} of {owner}" for account, owner in sorted(owners.items()))
                self.notes.add("credentials", what, f"{fingerprint}: {whose}")
        self.notes.report(self.reading)

    def _observed_at(self, files: Iterable[_File]) -> datetime:
        if self.taken_at is not None:
            return self.taken_at
        newest = max(file.path.stat().st_mtime for file in files)
        return min(datetime.fromtimestamp(newest, UTC), datetime.now(UTC))

    def _file(self, resource: str, file: _File, account: _Account) -> None:
        for number, text in lines(file.path, file.name, self.reading):
            if text.lstrip(" \t").startswith("#"):
                self.reading.skip("a comment")
                continue
            try:
                entry = read_entry(text)
            except Ignored as reason:
                self.reading.skip(str(reason))
            except ValueError as error:
                self.reading.reject(f"{file.name}:{number}", str(error))
            else:
                self._entry(resource, account, entry)
                self.reading.used()

    def _entry(self, resource: str, account: _Account, entry: Entry) -> None:
        fingerprint, where = entry.key.fingerprint, f"{resource}/{account.name}"
        hints = Hints(key=fingerprint, mail=entry.comment if _MAIL.fullmatch(entry.comment) else "")
        person = None if entry.authority else self.reading.named_by(hints)
        until = self._until(entry.expires, where)
        account.keys += 1
        account.endless |= until is None
        if until is not None:
            account.ends = max(account.ends or until, until)
        if person is None:
            account.nobody = account.nobody or fingerprint
        elif len(account.people) < _MOST_PEOPLE:
            account.people.setdefault(person, hints)
        self._note(entry, where)
        if not entry.authority:
            self._compare(fingerprint, account.name, self.reading.principal(resource, account.name))
        row = {"credential_id": fingerprint, "resource": resource, "account": account.name, "principal": person}
        self.reading.add("credentials", row | {"kind": _kind(entry), "valid_until": until})

    def _compare(self, fingerprint: str, account: str, owner: str | None) -> None:
        """Remember whose account the key opens, as the account's own name says it, whoever the key belongs to."""
        if owner is None:
            return
        if fingerprint in self.owners or len(self.owners) < _MOST_KEYS:
            self.owners.setdefault(fingerprint, {}).setdefault(account, owner)
        else:
            self.notes.add("credentials", "keys that were not compared with those of other accounts: too many")

    def _note(self, entry: Entry, where: str) -> None:
        if entry.key.weak:
            self.notes.add("credentials", "keys that are weak", f"{where}: {entry.key.weak}, {entry.key.fingerprint}")
        if not entry.key.known:
            what = "keys of a kind that is not known here: how strong they are is not said"
            self.notes.add("credentials", what, f"{where}: {entry.key.kind}")
        if entry.authority:
            what = (
                "accounts that are open to whoever has a certificate of an authority; who has one is not in the files"
            )
            self.notes.add("access_observed", what, f"{where}: {entry.key.fingerprint}")

    def _until(self, expires: Iterable[Expiry], where: str) -> datetime | None:
        """The end of a key: the first of those it has."""
        return min((self._instant(one, where) for one in expires), default=None)

    def _instant(self, expiry: Expiry, where: str) -> datetime:
        if expiry.utc:
            return expiry.local.replace(tzinfo=UTC)
        try:
            return self.clock.plain(expiry.local)
        except ValueError:
            what = (
                "ends of keys in the host's own time, whose zone is not known (option `timezone`): the latest is taken"
            )
            self.notes.add("credentials", what, f"{where}: {expiry.local}")
            return later(expiry.local.replace(tzinfo=UTC), _WEST)

    def _account(self, resource: str, account: _Account, at: datetime) -> int:
        if not account.keys:
            self.reading.add("accounts", self._account_row(resource, account, at, None))
            return 0
        hints = next(iter(account.people.values())) if len(account.people) == 1 and not account.nobody else None
        owner = self.reading.principal(resource, account.name, hints)
        self.reading.add("accounts", self._account_row(resource, account, at, owner))
        people = _holders(account, owner)
        for person, key in people:
            row = {
                "resource": resource,
                "account": account.name,
                "role": account.name,
                "holding": "direct",
                "depth": 0,
                "observed_at": at,
                "principal": person,
                "via": key if len(people) > 1 else None,
                "powers": _powers(account.name),
                "valid_until": None if account.endless else account.ends,
            }
            self.reading.add("access_observed", row)
        return len(people)

    @staticmethod
    def _account_row(resource: str, account: _Account, at: datetime, owner: str | None) -> dict[str, object]:
        return {
            "resource": resource,
            "account": account.name,
            "principal": owner,
            "powers": _powers(account.name),
            "observed": True,
            "observed_at": at,
        }

    def _host_read(self, resource: str, at: datetime, accounts: int, held: int, lost: int) -> None:
        self.reading.at(at)
        rejected = self.reading.rejected - lost
        gaps = [f"{rejected} lines could not be read", *self.gaps] if rejected else self.gaps
        row = {"resource": resource, "finished_at": at, "complete": not gaps, "accounts": accounts, "memberships": held}
        self.reading.add("target_reads", row | {"gaps": "; ".join(gaps) or None})


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the files in `path`.

    Raises:
        InvalidInput: an option makes no sense, a host is not said, or there is no file of keys.
    """
    when = taken_at(options) if options.get("taken_at", "").strip() else None
    keys = _Keys(reading, Hosts(options), clock_of(options), Notes(), when)
    keys.gaps += [] if flag(options, "complete") else [_NOT_STATED]
    files = sorted(_files(path, options, keys), key=lambda file: (file.place, file.name))
    if not files:
        raise InvalidInput(
            f"`{shown(str(path), 200)}` has no file of keys in it",
            hint="lay them out as `HOST/ACCOUNT/authorized_keys`; docs/sources-ssh.md has the other ways",
        )
    for host, own in groupby(files, key=lambda file: file.place.host):
        keys.host(host, own)
    keys.finish()


def _files(path: Path, options: Options, keys: _Keys) -> Iterator[_File]:
    host, account = options.get("host", "").strip(), options.get("account", "").strip()
    if path.is_file():
        yield _File(single_place(host, account), path.name, path)
        return
    for file in files_of_keys(path):
        name = name_below(path, file)
        place = place_of(name)
        if place is None:
            _left_out(name, keys)
        elif not place.host and not host:
            raise InvalidInput(f"`{shown(name, 200)}` does not say of which host it is", hint="give the option `host`")
        else:
            yield _File(Place(place.host or host, place.account), name, file)


def _left_out(name: str, keys: _Keys) -> None:
    if looks_like_keys(name):
        what = "files of keys that are in no layout that is known: they were not read"
        keys.notes.add("access_observed", what, name)
        keys.gaps += [] if what in keys.gaps else [what]
    else:
        keys.notes.add("", "files that are no files of keys by their names were not read", name)


def _holders(account: _Account, owner: str | None) -> list[tuple[str | None, str]]:
    """(person, one of the person's keys) of everyone who can use the account, as far as that is known."""
    found: list[tuple[str | None, str]] = [(person, hints.key) for person, hints in account.people.items()]
    if account.nobody and owner not in account.people:
        found.append((owner, account.nobody))
    return found


def _kind(entry: Entry) -> str:
    return "certificate authority" if entry.authority else "key"


def _powers(account: str) -> str | None:
    return "root" if account == "root" else None


SOURCE = Source(
    kind="authorized-keys",
    title="OpenSSH's authorized_keys files",
    tables=("accounts", "access_observed", "credentials", "target_reads"),
    read=read,
    options={
        "resource": "name of the resource; `{host}` stands for the host. `ssh-{host}` if not given",
        "host": "host of files whose layout does not say it",
        "account": "account of a source that is one file",
        "complete": "`yes`: these are the files of all accounts, in all places that AuthorizedKeysFile names",
        "timezone": "zone of the host, in which ends of keys without `Z` are written",
        "taken_at": "when the files were copied; the time of the newest one if not given",
    },
)
