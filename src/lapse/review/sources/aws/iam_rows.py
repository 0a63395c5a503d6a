"""An AWS account's users, roles, groups and policies as rows of evidence, with everything that is not certain told.

Called by the kind of source `aws_iam`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias

from lapse.review.collection.identities import Hints
from lapse.review.sources.aws.iam_details import Holder
from lapse.review.sources.aws.iam_estate import Estate
from lapse.review.sources.aws.iam_trust import Trust, trust_of
from lapse.review.sources.aws.iam_ways import Ways
from lapse.review.sources.iam_policies import Document, Privilege, effect_of, gives_all, privileges
from lapse.review.sources.notes import Notes
from lapse.review.sources.reading import Reading

Row: TypeAlias = dict[str, Any]
POWER = "administrator"
MOST_PRIVILEGES = 10_000
"""Rights listed of one policy; from there on, one an action."""
MOST_EDGES = 1_000_000
"""Steps listed of one AWS account; what is beyond is a gap."""
LONGEST_TEXT = 2_000
_NOTES = {
    "only if": "rights that are given under a condition count as given",
    "every": "rights to everything but what is named (NotAction, NotResource) are listed as rights to everything",
    "a Deny": "rights of which a Deny takes a part away are listed whole",
}


class AccountRows:
    """Writes everything about one AWS account, which is `resource`, as it was at `at`."""

    def __init__(self, estate: Estate, resource: str, at: datetime, reading: Reading, notes: Notes) -> None:
        self._estate, self._reading, self._notes = estate, reading, notes
        self._common: Row = {"resource": resource}
        self._resource, self._at = resource, at
        roles = estate.account.of("role")
        self._trusts: dict[str, Trust] = {role.name: trust_of(role, estate) for role in roles}

    def write(self) -> None:
        """All rows, and what is not known."""
        number, holders = self._estate.account.number, self._estate.account.holders.values()
        self._reading.add("resources", self._common | {"connector": "aws", "title": f"AWS account {number}"})
        memberships = 0
        for holder in holders:
            self._reading.add("accounts", self._account_row(holder))
            for row in self._access_rows(holder):
                self._reading.add("access_observed", row)
                memberships += 1
        for name, document in sorted(self._estate.policies.items()):
            self._write_privileges(name, document)
        self._write_edges()
        gaps = self._gaps()
        read = {"finished_at": self._at, "complete": not gaps, "accounts": len(holders), "memberships": memberships}
        self._reading.add("target_reads", self._common | read | {"gaps": "; ".join(gaps) or None})

    def _account_row(self, holder: Holder) -> Row:
        return self._common | {
            "account": holder.name,
            "principal": self._principal(holder),
            "can_login": self._can_login(holder),
            "powers": POWER if self._estate.effect(holder).is_administrator else None,
            "last_activity": holder.last_activity,
            "observed": True,
            "observed_at": self._at,
            "builtin": holder.is_builtin,
            "kind": "service" if holder.kind == "role" and self._trusts[holder.name].for_services_only else None,
            "created_at": holder.created_at,
        }

    def _can_login(self, holder: Holder) -> bool | None:
        """Of a user the files do not say whether it has a password or keys; a role can be used if it can be assumed."""
        if holder.kind == "user":
            return None
        trust = self._trusts.get(holder.name)
        return trust is not None and (trust.is_open or bool(trust.fault))

    def _principal(self, holder: Holder) -> str | None:
        if holder.kind == "group":
            return None
        mail = holder.mail or (holder.login if "@" in holder.login else "")
        hints = Hints(mail=mail, login=holder.login) if holder.kind == "user" else None
        return self._reading.principal(self._resource, holder.name, hints)

    def _access_rows(self, holder: Holder) -> Iterator[Row]:
        common = self._common | {
            "account": holder.name,
            "observed_at": self._at,
            "principal": self._principal(holder),
            "can_login": self._can_login(holder),
        }
        for name in self._estate.own(holder):
            yield common | self._held(holder, name) | {"holding": "direct", "depth": 0}
        for group in self._estate.groups(holder):
            powers = POWER if self._estate.effect(group).is_administrator else None
            yield common | {"role": group.name, "holding": "direct", "depth": 0, "powers": powers}
            for name in self._estate.own(group):
                yield common | self._held(holder, name) | {"holding": "nested", "depth": 1, "via": group.name}
        if holder.boundary:
            what = "accounts with a permissions boundary may have less than their policies give"
            self._notes.add("access_observed", what, f"{holder.name}: {holder.boundary}")

    def _held(self, holder: Holder, name: str) -> Row:
        """A policy is an administrator's if it gives everything, and nothing else of the holder takes that away."""
        gives = any(gives_all(one) for one in self._estate.document(name).statements)
        alone = gives and effect_of(self._estate.document(name).statements, {}).is_administrator
        if gives and not (alone and self._estate.effect(holder).is_administrator):
            what = "policies that give everything are no administrator's: a Deny or a boundary takes it away"
            self._notes.add("access_observed", what, f"{holder.name}: {name}")
            return {"role": name, "powers": None}
        return {"role": name, "powers": POWER if gives else None}

    def _write_privileges(self, name: str, document: Document) -> None:
        for right in privileges(document.statements, MOST_PRIVILEGES):
            row = {"role": name, "action": right.action, "object": right.resource[:LONGEST_TEXT]}
            self._reading.add(
                "role_privileges", self._common | row | {"origin": "observed", "wildcard": right.wildcard}
            )
            self._note(name, right)

    def _note(self, name: str, right: Privilege) -> None:
        for note in right.notes:
            what = next((text for begin, text in _NOTES.items() if note.startswith(begin)), "long lists are shortened")
            self._notes.add("role_privileges", what, f"{name}: {right.action}: {note}")

    def _write_edges(self) -> None:
        ways = Ways(self._estate, self._trusts)
        edges = (edge for trust in self._trusts.values() for edge in trust.edges)
        count = 0
        for found in (ways.edges(), edges):
            for edge in islice(found, MOST_EDGES + 1 - count):
                count += 1
                if count > MOST_EDGES:
                    self._reading.gap("escalation_edges", f"{self._resource}: there are more than {MOST_EDGES} steps")
                    return
                row = {name: text[:LONGEST_TEXT] for name, text in edge._asdict().items()}
                self._reading.add("escalation_edges", self._common | row)
        for name in ways.limited:
            what = "accounts that can give rights to themselves, but no more than their permissions boundary allows"
            self._notes.add("escalation_edges", what, name)

    def _gaps(self) -> list[str]:
        """What is not known, told as gaps of the tables that suffer."""
        estate = self._estate
        lost = self._reading.rejected
        found = [f"{lost} entries or files could not be read, of this account or another"] if lost else []
        faults = {name: trust.fault for name, trust in self._trusts.items() if trust.fault}
        if not estate.account.whole:
            found.append("the files end before the list of the account does (IsTruncated)")
            for table in ("accounts", "access_observed"):
                self._reading.gap(table, f"{self._resource}: {found[-1]}")
        for names, what in (
            (estate.missing, "policies or groups are named whose text is not in the files"),
            (estate.unreadable, "policies could not be read"),
            (faults, "trust policies could not be read"),
        ):
            if names:
                found.append(f"{len(names)} {what}")
                self._tell(names, what)
        return found

    def _tell(self, names: Mapping[str, str], what: str) -> None:
        for table in ("role_privileges", "escalation_edges", "access_observed"):
            self._reading.gap(table, f"{self._resource}: {len(names)} {what}")
        for name, why in names.items():
            self._notes.add("role_privileges", what, f"{name}: {why}")
