"""What `aws iam get-account-authorization-details` prints, as users, roles, groups and policies of AWS accounts.

Guarantee: each entry of its lists is taken in, skipped because it is there already, or rejected with its place; pages
that are missing are told. Policies are left as they are written, `iam_estate` reads them. Called by the kind `aws_iam`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from lapse.review.sources.aws.names import is_account, local_name, read_arn
from lapse.review.sources.aws.unpacked import unpacked
from lapse.review.sources.files import files_below, name_below
from lapse.review.sources.notes import Notes
from lapse.review.sources.reading import Reading

_FILES = (".json", ".gz", ".txt")
_SERVICE_PATH = "/aws-service-role/"


class _Attached(msgspec.Struct, rename="pascal"):
    policy_arn: str


class _Inline(msgspec.Struct, rename="pascal"):
    policy_name: str
    policy_document: Any = None


class _Boundary(msgspec.Struct, rename="pascal"):
    permissions_boundary_arn: str


class _Tag(msgspec.Struct, rename="pascal"):
    key: str
    value: str = ""


class _LastUsed(msgspec.Struct, rename="pascal"):
    last_used_date: str | None = None


class _Entry(msgspec.Struct, rename="pascal", kw_only=True):
    arn: str
    create_date: str | None = None
    attached_managed_policies: list[_Attached] = []


class _Person(_Entry, rename="pascal", kw_only=True):
    permissions_boundary: _Boundary | None = None
    tags: list[_Tag] = []


class _User(_Person, rename="pascal", kw_only=True):
    user_id: str = ""
    group_list: list[str] = []
    user_policy_list: list[_Inline] = []
    password_last_used: str | None = None


class _Role(_Person, rename="pascal", kw_only=True):
    role_id: str = ""
    assume_role_policy_document: Any = None
    role_policy_list: list[_Inline] = []
    role_last_used: _LastUsed | None = None
    instance_profile_list: list[Any] = []


class _Group(_Entry, rename="pascal", kw_only=True):
    group_policy_list: list[_Inline] = []


class _Version(msgspec.Struct, rename="pascal"):
    version_id: str = ""
    is_default_version: bool = False
    document: Any = None


class _Policy(msgspec.Struct, rename="pascal"):
    arn: str
    default_version_id: str = ""
    policy_version_list: list[_Version] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A user, role or group, with the policies it has itself: `attached` by ARN, `inline` by name with their text."""

    arn: str
    name: str
    kind: str
    id: str = ""
    attached: tuple[str, ...] = ()
    inline: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    boundary: str = ""
    trust: Any = None
    mail: str = ""
    created_at: datetime | None = None
    last_activity: datetime | None = None
    on_instances: bool = False

    @property
    def login(self) -> str:
        """Its name without what it is."""
        return self.name.partition("/")[2]

    @property
    def is_builtin(self) -> bool:
        """Whether AWS itself brings it along, for one of its services."""
        return f":role{_SERVICE_PATH}" in self.arn


@dataclass(slots=True)
class AwsAccount:
    """One AWS account. `holders` are by name; `policies` are the texts in force of managed policies, by ARN."""

    number: str
    holders: dict[str, Holder] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    whole: bool = True

    def of(self, kind: str) -> Iterator[Holder]:
        """Its `user`s, `role`s or `group`s."""
        return (one for one in self.holders.values() if one.kind == kind)


@dataclass(slots=True)
class Details:
    """All accounts that were read, with the policies of AWS itself, and when the newest file was written."""

    accounts: dict[str, AwsAccount] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    written_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


_LISTS: Mapping[str, type[msgspec.Struct]] = {
    "UserDetailList": _User,
    "GroupDetailList": _Group,
    "RoleDetailList": _Role,
    "Policies": _Policy,
}
_KINDS = {"UserDetailList": "user/", "GroupDetailList": "group/", "RoleDetailList": "role/", "Policies": "policy/"}
Page: TypeAlias = tuple[frozenset[str], bool]
"""The AWS accounts on a page, and whether there is more after it."""


class DetailsReader:
    """Reads files into `details`."""

    def __init__(self, reading: Reading, notes: Notes) -> None:
        self.details = Details()
        self._reading, self._notes = reading, notes
        self._pages: list[Page] = []
        self._seen: dict[tuple[str, str], msgspec.Struct] = {}

    def read(self, path: Path) -> Details:
        """Everything in the file or the folder `path`."""
        for file in files_below(path):
            name = name_below(path, file)
            if file != path and not name.endswith(_FILES):
                self._reading.skip("a file whose name is not that of JSON")
            else:
                self._read_file(file, name)
        self._check_pages()
        return self.details

    def _read_file(self, file: Path, name: str) -> None:
        try:
            self._reading.file(name, file)
            written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        except OSError as error:
            self._reading.reject(name, f"the file cannot be read: {error}")
            return
        whole = unpacked(file)
        self._reading.tell(file.stat().st_size)
        self.details.written_at = max(self.details.written_at, written)
        try:
            page = msgspec.json.decode(whole.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._reading.reject(name, whole.fault or f"it is no JSON: {error}")
            return
        lists = {key: page[key] for key in _LISTS if isinstance(page.get(key), list)} if isinstance(page, dict) else {}
        if not lists:
            self._reading.reject(name, "it is not what `aws iam get-account-authorization-details` prints")
            return
        numbers = {self._take(key, entry, f"{name}: {key}[{n}]") for key in lists for n, entry in enumerate(lists[key])}
        self._pages.append((frozenset(numbers - {""}), bool(page.get("IsTruncated") or page.get("NextToken"))))

    def _take(self, key: str, entry: Any, place: str) -> str:
        """Take in one entry; the AWS account it is of, empty if of none."""
        try:
            found = msgspec.convert(entry, _LISTS[key], strict=False)
            arn = read_arn(found.arn)  # type: ignore[attr-defined]  # all of the lists' types have one
        except (msgspec.ValidationError, RecursionError) as error:
            self._reading.reject(place, str(error))
            return ""
        shared = arn is not None and key == "Policies" and arn.account == "aws"
        if arn is None or not (shared or is_account(arn.account)):
            self._reading.reject(place, "its ARN names no AWS account")
            return ""
        if not arn.rest.startswith(_KINDS[key]):
            self._reading.reject(place, f"its ARN is not of a `{_KINDS[key]}`")
            return ""
        if not self._is_new(key, found, place):
            return arn.account
        self._reading.used()
        account = None if shared else self.details.accounts.setdefault(arn.account, AwsAccount(arn.account))
        if isinstance(found, _Policy):
            policies = self.details.shared if account is None else account.policies
            policies[found.arn] = _in_force(found)
        elif account is not None:
            holder = self._holder(found, local_name(arn.rest), place)
            account.holders[holder.name] = holder
        return "" if shared else arn.account

    def _is_new(self, key: str, found: Any, place: str) -> bool:
        known = self._seen.setdefault((key, found.arn), found)
        if known is found:
            return True
        self._reading.skip("seen already")
        if known != found:
            self._notes.add("", "entries are there twice, and differ: the first is taken", f"{place}: {found.arn}")
        return False

    def _holder(self, found: Any, name: str, place: str) -> Holder:
        own: dict[str, Any] = {}
        if isinstance(found, _User):
            own = {"id": found.user_id, "groups": tuple(f"group/{one}" for one in found.group_list)}
            own |= {"last_activity": self._time(found.password_last_used, place)}
        elif isinstance(found, _Role):
            used = found.role_last_used.last_used_date if found.role_last_used else None
            own = {"id": found.role_id, "trust": found.assume_role_policy_document}
            own |= {"last_activity": self._time(used, place), "on_instances": bool(found.instance_profile_list)}
        if isinstance(found, _Person):
            own["boundary"] = found.permissions_boundary.permissions_boundary_arn if found.permissions_boundary else ""
            own["mail"] = next((tag.value for tag in found.tags if tag.key.lower() in {"email", "mail"}), "")
        inline: Sequence[_Inline] = _inline_of(found)
        return Holder(
            arn=found.arn,
            name=name,
            kind=name.partition("/")[0],
            attached=tuple(dict.fromkeys(one.policy_arn for one in found.attached_managed_policies)),
            inline={one.policy_name: one.policy_document for one in inline},
            created_at=self._time(found.create_date, place),
            **own,
        )

    def _time(self, text: str | None, place: str) -> datetime | None:
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            moment = found.astimezone(UTC) if found.tzinfo else None
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            self._notes.add("accounts", "times that cannot be read are left out", f"{place}: {text}")
        return moment

    def _check_pages(self) -> None:
        last = [numbers for numbers, more in self._pages if not more]
        for number, account in self.details.accounts.items():
            open_end = any(more for numbers, more in self._pages if number in numbers)
            if open_end and not any(number in numbers or not numbers for numbers in last):
                account.whole = False


def _inline_of(found: _Entry) -> Sequence[_Inline]:
    if isinstance(found, _User):
        return found.user_policy_list
    if isinstance(found, _Role):
        return found.role_policy_list
    return found.group_policy_list if isinstance(found, _Group) else ()


def _in_force(policy: _Policy) -> Any:
    """The text of the version in force; None if it is not there."""
    versions = policy.policy_version_list
    chosen = [one for one in versions if one.version_id and one.version_id == policy.default_version_id]
    chosen += [one for one in versions if one.is_default_version]
    return chosen[0].document if chosen else None
