"""Records of CloudTrail as columns of `usage`, and what else they say: sessions, changes of rights, times of logs.

Guarantee: every record that is taken in is counted once, as used, left out with the reason, or rejected. Runs in worker
processes, so what it gives can be sent from one to another. Called by `trail_parts`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgspec

from lapse.review.sources.aws.names import is_account
from lapse.review.sources.aws.trail_changes import Change, changes_of
from lapse.review.sources.aws.trail_objects import object_of
from lapse.review.sources.aws.trail_records import Fault, Record
from lapse.review.sources.aws.trail_who import RoleRequest, Who, part_of, read_role, who_made

LONGEST_TEXT = 2_000
"""Characters of one text of evidence; what is longer is cut, and counted."""
Row: TypeAlias = tuple[bytes, int, datetime, str, str | None, str | None, str | None, str | None]
"""Id of the event, number of who, when, action, object, address, device, session."""
_NOBODY = "done by an AWS service itself, or by nobody who is named"
_EXAMPLES = 5
_LATEST = 253_000_000_000
"""In the year 9987: what is near the end of the calendar cannot be counted with."""
_DENIED = re.compile(r"AccessDenied|Unauthorized|NotAuthorized|Forbidden|AuthFailure", re.IGNORECASE)
_SUFFIX = re.compile(r"\d{4}_?\d{2}_?\d{2}(?:v\d+)?$", re.ASCII)
_PREFIXES = {"monitoring": "cloudwatch", "email": "ses", "tagging": "tag"}
_RIGHTS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "lambda:Invoke": "lambda:InvokeFunction",
}
"""Operations that are not called like the right they need, which is what policies and so evidence name."""


class Session(NamedTuple):
    """A session that was opened for `who` by `by`."""

    event: bytes
    who: Who
    by: Who
    session_id: str
    protocol: str
    started_at: datetime
    address: str
    device: str


class _Credentials(msgspec.Struct, rename="camel", frozen=True):
    access_key_id: str = ""


class _Answer(msgspec.Struct, rename="camel"):
    credentials: _Credentials = _Credentials()


@dataclass
class Tally:
    """How many records became of what. `late` are later than now, `cut` had a text that was too long."""

    used: int = 0
    rejected: int = 0
    late: int = 0
    cut: int = 0
    recoded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def example(self, what: str, text: str) -> None:
        """Keep `text` as one of the first examples of `what`."""
        found = self.examples.setdefault(what, [])
        if len(found) < _EXAMPLES:
            found.append(text[:LONGEST_TEXT])


class Rows:
    """Takes records in. Rows of usage have the number of who it was; times of logs are in seconds, by AWS account."""

    def __init__(self, now: float) -> None:
        self.tally = Tally()
        self.rows: list[Row] = []
        self.who: dict[Who, int] = {}
        self.sessions: list[Session] = []
        self.changes: list[Change] = []
        self.logged: dict[str, list[float]] = {}
        self.latest: datetime | None = None
        self._now = now
        self._known: dict[tuple[str, str, str], tuple[Who, int]] = {}
        self._actions: dict[tuple[str, str], str] = {}
        self._sessions: dict[str, str] = {}

    def take(self, records: Sequence[Record], place: str) -> None:
        """Count each record and keep what it says; `place` is the file they are from."""
        logged, now, keep = self.logged, self._now, self._keep
        for position, record in enumerate(records, start=1):
            number = record.recipient_account_id
            times = logged.get(number) if number else None
            if number is None or times is None:
                number = _account_of(record)
                if number is None:
                    self.reject(Fault(f"{place}: record {position}", "it names no AWS account"))
                    continue
                times = logged.setdefault(number, [])
            second = record.event_time.timestamp()
            if not 0 <= second < _LATEST:
                self.reject(Fault(f"{place}: record {position}", "its time is impossible"))
                continue
            if second <= now:
                times.append(second)
            else:
                self._note_late(record, f"{place}: record {position}")
            keep(record, number)

    def reject(self, fault: Fault) -> None:
        """One record, or the rest of a file, could not be read."""
        self.tally.rejected += 1
        if len(self.tally.faults) < _EXAMPLES:
            self.tally.faults.append(fault)

    def _note_late(self, record: Record, place: str) -> None:
        self.latest = max(self.latest or record.event_time, record.event_time)
        self.tally.late += 1
        self.tally.example("late", f"{place}: {record.event_time.isoformat()}")

    def _keep(self, record: Record, number: str) -> None:
        source = record.event_source
        special = _SPECIAL.get(source)
        reason = _left_out(record) if record.error_code or special or record.event_category == "Insight" else ""
        found = None if reason else self._who(record, number)
        if found is None:
            self.tally.skipped[reason or _NOBODY] += 1
            return
        who, at = found
        action = self._actions.get((source, record.event_name)) or self._action(source, record.event_name)
        key = record.user_identity.access_key_id if record.user_identity is not None else None
        session = (self._sessions.get(key) or self._session(key)) if key else None
        event = event_id(record.event_id)
        row = (event, at, record.event_time, action, object_of(record), record.source_ip, record.user_agent, session)
        self.rows.append(row)
        self.tally.used += 1
        if special:
            special(self, record, event, who)

    def _who(self, record: Record, number: str) -> tuple[Who, int] | None:
        identity = record.user_identity
        if identity is None or not identity.arn or identity.type == "FederatedUser":
            return self._numbered(who_made(record, number))
        key = (number, identity.type, identity.arn)
        found = self._known.get(key) or self._numbered(who_made(record, number))
        if found is not None:
            self._known[key] = found
        return found

    def _numbered(self, who: Who | None) -> tuple[Who, int] | None:
        if who is None:
            return None
        if max(map(len, who)) > LONGEST_TEXT:
            who = Who(*map(self._short, who))
        return who, self.who.setdefault(who, len(self.who))

    def _action(self, source: str, name: str) -> str:
        service = source.partition(".")[0]
        right = f"{_PREFIXES.get(service, service)}:{_SUFFIX.sub('', name)}"
        found = self._actions[source, name] = self._short(_RIGHTS.get(right, right))
        return found

    def _session(self, key: str) -> str | None:
        """The id of the session; only temporary keys (`ASIA…`) are of one session."""
        if not key.startswith("ASIA"):
            return None
        found = self._sessions[key] = session_id(key)
        return found

    def note_change(self, record: Record, event: bytes, by: Who) -> None:
        """An event of IAM: it may change who has which rights."""
        self.changes.extend(changes_of(record, event, by))

    def note_session(self, record: Record, event: bytes, by: Who) -> None:
        """An event of STS or of the sign-in: it may open a session. Those that services open for themselves do not."""
        opened, name, protocol = by, "", "aws-console"
        if record.event_name == "ConsoleLogin":
            name = f"console-{record.event_id or event.hex()}"
        elif record.event_name.startswith("AssumeRole"):
            role = read_role(part_of(record.request_parameters, RoleRequest), by.number)
            key = part_of(record.response_elements, _Answer).credentials.access_key_id
            if role is not None and key and record.user_identity and record.user_identity.type != "AWSService":
                opened, name, protocol = role, session_id(key), "aws-sts"
        if name:
            known = (record.event_time, self._short(record.source_ip or ""), self._short(record.user_agent or ""))
            self.sessions.append(Session(event, opened, by, self._short(name), protocol, *known))

    def _short(self, text: str) -> str:
        if len(text) <= LONGEST_TEXT:
            return text
        self.tally.cut += 1
        return text[: LONGEST_TEXT - 1] + "…"


_Special: TypeAlias = Callable[[Rows, Record, bytes, Who], None]
_SPECIAL: Mapping[str, _Special] = {
    "iam.amazonaws.com": Rows.note_change,
    "sts.amazonaws.com": Rows.note_session,
    "signin.amazonaws.com": Rows.note_session,
}
"""Sources of events that say more than that there was use."""


def session_id(key: str) -> str:
    """The id of the session that has the temporary key with this id, from which the key cannot be told."""
    return f"aws-{blake2b(key.encode(), digest_size=12).hexdigest()}"


def event_id(text: str | None) -> bytes:
    """The id of an event in 16 bytes; empty where it has none."""
    if not text:
        return b""
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        found = b""
    return found if len(found) == 16 else blake2b(text.encode(), digest_size=16).digest()  # noqa: PLR2004  as above


def _account_of(record: Record) -> str | None:
    """The number of the AWS account that the record is of; older ones name only the one of who made the request."""
    number = record.recipient_account_id or (record.user_identity.account_id if record.user_identity else None)
    return number if is_account(number) else None


def _left_out(record: Record) -> str:
    """Why the record proves no use, if it does not."""
    if record.error_code:
        return "access was denied" if _DENIED.search(record.error_code) else "the call failed"
    if record.event_category == "Insight" or record.event_type == "AwsCloudTrailInsight":
        return "an Insight, which is no event"
    if record.event_source == "signin.amazonaws.com" and b'"Failure"' in bytes(record.response_elements):
        return "the sign-in failed"
    return ""
