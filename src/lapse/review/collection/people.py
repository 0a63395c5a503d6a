"""`people.csv`: who works here and who has left, from HR or a directory export.

Columns `name`, `email`, `login`, `active`, `left_at` (only `name` or `email` is needed; several logins are
separated by `;`). Without a catalog these are the principals; with one they say what HR knows about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.review.collection.imports import UNREADABLE, Tally, csv_rows, read_row, why_unreadable
from lapse.review.evidence.columns import Column, Kind, Table
from lapse.review.model import Problem

_TABLE = Table(
    "people",
    "people.csv",
    (
        Column("name", Kind.TEXT, "name"),
        Column("email", Kind.TEXT, "mail address"),
        Column("login", Kind.TEXT, "logins on targets, separated by `;`"),
        Column("active", Kind.BOOL, "whether the person works here"),
        Column("left_at", Kind.TIME, "when the person left"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person as HR knows it."""

    name: str
    email: str = ""
    logins: tuple[str, ...] = ()
    active: bool = True
    left_at: datetime | None = None

    def has_left(self, at: datetime) -> bool:
        """Whether the person is gone at `at`."""
        return not self.active or (self.left_at is not None and self.left_at <= at)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everyone in the file, and what was wrong with it."""

    persons: tuple[Person, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_people(path: Path) -> People:
    """The persons in `path`; rows that cannot be read become a problem.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not a CSV file with a `name` or `email` column.
    """
    if not path.is_file():
        raise NotFound(f"there is no file `{shown(str(path), 200)}`")
    tally, persons = Tally(), list[Person]()
    try:
        for line, cells in csv_rows(path):
            if not {"name", "email"} & cells.keys():
                raise InvalidInput(
                    f"`{path.name}` has no column `name` or `email`", hint="its first line names columns"
                )
            try:
                persons.append(_person(read_row(_TABLE, cells)))
            except InvalidInput as error:
                tally.reject(f"line {line}", error.message)
    except UNREADABLE as error:
        hint = "save it as CSV in UTF-8, with a header"
        raise InvalidInput(f"`{path.name}` cannot be read as CSV: {why_unreadable(error)}", hint=hint) from None
    return People(persons=tuple(persons), problems=_problems(path, tally))


def principal_rows(people: People, at: datetime) -> Iterable[dict[str, Any]]:
    """The persons as principals, where there is no catalog."""
    for person in people.persons:
        yield {
            "principal": person.name,
            "kind": "person",
            "active": not person.has_left(at),
            "person": person.name,
            "email": person.email or None,
            "left_at": person.left_at,
        }


def leaving_rows(people: People, catalog: Catalog, at: datetime) -> Iterable[dict[str, Any]]:
    """Who has left according to HR, under the name the catalog knows them by (name or mail address)."""
    by_email = {p.email.lower(): p.name for p in catalog.principals.values() if p.email}
    for person in people.persons:
        if person.has_left(at):
            known = person.name if person.name in catalog.principals else by_email.get(person.email.lower())
            yield {
                "principal": known or person.name,
                "happened_at": person.left_at or at,
                "event": "left",
                "detail": "not active" if person.left_at is None else None,
            }


def _person(row: Mapping[str, Any]) -> Person:
    name = (row["name"] or row["email"] or "").strip()
    if not name:
        raise InvalidInput("`name` is missing")
    return Person(
        name=name,
        email=(row["email"] or "").strip(),
        logins=tuple(login.strip() for login in (row["login"] or "").split(";") if login.strip()),
        active=row["active"] is not False,
        left_at=row["left_at"],
    )


def _problems(path: Path, tally: Tally) -> tuple[Problem, ...]:
    if not tally.bad:
        return ()
    return (
        Problem(
            table="people",
            source=path.name,
            what="rows that could not be read",
            rows=tally.bad,
            examples=tuple(tally.examples),
        ),
    )
