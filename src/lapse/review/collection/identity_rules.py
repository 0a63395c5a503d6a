"""The rules by which accounts are linked to people, from what a review knows: catalog, HR's file, a mapping file.

The mapping file (`identities.csv`: resource, account, principal) is for what no rule can know; `*` as resource is every
one, and `key` instead of account is an SSH key's fingerprint. Called by `collect`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput
from lapse.review.collection.identities import Rules
from lapse.review.collection.imports import UNREADABLE, Tally, csv_rows, read_row, why_unreadable
from lapse.review.collection.people import People
from lapse.review.evidence.columns import Column, Kind, Table
from lapse.review.model import Problem

K = TypeVar("K")
MAPPING = "identities"
_TABLE = Table(
    MAPPING,
    "identities.csv",
    (
        Column("resource", Kind.TEXT, "resource, or `*`"),
        Column("account", Kind.TEXT, "login on it"),
        Column("key", Kind.TEXT, "fingerprint of an SSH key"),
        Column("principal", Kind.TEXT, "whose it is", required=True),
    ),
)


class _Names:
    """Names, each standing for one or several principals."""

    def __init__(self) -> None:
        self._found: dict[str, set[str]] = defaultdict(set)

    def put(self, name: str, principal: str) -> None:
        if name:
            self._found[name.lower()].add(principal)

    def frozen(self) -> dict[str, frozenset[str]]:
        return {name: frozenset(principals) for name, principals in self._found.items()}


def rules_of(catalog: Catalog, people: People, mapping: Path | None) -> tuple[Rules, list[Problem]]:
    """The rules, and what was wrong with the mapping file (None: there is none).

    Raises:
        InvalidInput: the mapping file is no CSV file with the right columns.
    """
    mails, logins, names = _Names(), _Names(), _Names()
    for principal in catalog.principals.values():
        mails.put(principal.email, principal.name)
        names.put(principal.name, principal.name)
    for person in people.persons:
        known = person.name if person.name in catalog.principals else _by_mail(catalog, person.email) or person.name
        mails.put(person.email, known)
        names.put(person.name, known)
        for login in person.logins or (person.email.partition("@")[0],):
            logins.put(login, known)
    mapped, keys, problems = _mapping(mapping)
    return (
        Rules(
            linked=catalog.account_owner,
            mapping=mapped,
            keys=keys,
            mails=mails.frozen(),
            logins=logins.frozen(),
            names=names.frozen(),
        ),
        problems,
    )


def _by_mail(catalog: Catalog, mail: str) -> str | None:
    return next((p.name for p in catalog.principals.values() if mail and p.email.lower() == mail.lower()), None)


def _mapping(
    path: Path | None,
) -> tuple[dict[tuple[str, str], frozenset[str]], dict[str, frozenset[str]], list[Problem]]:
    accounts: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys: dict[str, set[str]] = defaultdict(set)
    tally = Tally()
    if path is None:
        return {}, {}, []
    try:
        for line, cells in csv_rows(path):
            try:
                row = read_row(_TABLE, cells)
            except InvalidInput as error:
                tally.reject(f"line {line}", error.message)
                continue
            if row["key"]:
                keys[row["key"]].add(row["principal"])
            elif row["account"]:
                accounts[row["resource"] or "*", row["account"].lower()].add(row["principal"])
            else:
                tally.reject(f"line {line}", "it names neither account nor key")
    except UNREADABLE as error:
        hint = "save it as CSV in UTF-8, with a header"
        raise InvalidInput(f"`{path.name}` cannot be read as CSV: {why_unreadable(error)}", hint=hint) from None
    return _frozen(accounts.items()), _frozen(keys.items()), _problems(path, tally)


def _frozen(items: Iterable[tuple[K, set[str]]]) -> dict[K, frozenset[str]]:
    return {key: frozenset(names) for key, names in items}


def _problems(path: Path, tally: Tally) -> list[Problem]:
    if not tally.bad:
        return []
    what = "rows that could not be read"
    return [Problem(table=MAPPING, source=path.name, what=what, rows=tally.bad, examples=tuple(tally.examples))]
