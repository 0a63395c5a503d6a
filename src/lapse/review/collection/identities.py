"""Whom accounts on targets belong to: rules in a fixed order, and a list of what no rule resolved.

Order: the catalog's links, a mapping file, an SSH key on record, the mail address, the login name. The first rule that
names somebody decides; two persons for one account under the same rule are a conflict, and then it is nobody's. Every
account asked about is a row of `account_links` with the rule that decided. Called by whatever collects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
UNRESOLVED = "unresolved"
_SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a record says of the person besides the account: mail address, SSH key fingerprint, session name.

    `login` is the login name where the account's name has more to it (`user/ann`). A session speaks for itself only:
    what it says is not remembered of the account, which others use as well.
    """

    mail: str = ""
    key: str = ""
    session: str = ""
    login: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Who an account belongs to by which rule; `principal` None is nobody, and `detail` says why."""

    principal: str | None
    rule: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the rules go by. Names in lower case; each name stands for one or, in conflict, several principals.

    `mapping` is by (resource, account), or ("*", account) for every resource; `linked` is the catalog's own answer.
    `logins` are those that HR lists. `names` are of principals: a session may go by one, an account that just has the
    same name says nothing.
    """

    linked: Callable[[str, str], str | None] = lambda _resource, _account: None
    mapping: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mails: Mapping[str, frozenset[str]] = field(default_factory=dict)
    logins: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Identities:
    """Answers whom an account belongs to, and remembers every answer."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._links: dict[tuple[str, str], Link] = {}

    def of(self, resource: str, account: str, hints: Hints | None = None) -> str | None:
        """The principal behind `account` of `resource`, or None."""
        key = (resource, account)
        known = self._links.get(key)
        if known is not None and (known.principal is not None or hints is None):
            return known.principal
        found = self._resolved(resource, account, hints or Hints())
        if found.rule == _SESSION:
            self._links[key] = Link(None, _SESSION, "each session says whose it is")
        elif known is None or known.rule != _SESSION or found.principal is not None:
            self._links[key] = found
        return found.principal

    def named_by(self, hints: Hints) -> str | None:
        """Whom `hints` name by themselves, whatever account they were found with; None where nobody or several.

        For one of several credentials of an account; it decides nothing about the account, and is not remembered.
        """
        found = (names for _, _, names in self._hinted(hints) if names)
        names = next(found, frozenset[str]())
        return next(iter(names)) if len(names) == 1 else None

    def rows(self) -> Iterator[Row]:
        """Rows of `account_links`, by resource and account."""
        for (resource, account), link in sorted(self._links.items()):
            yield {
                "resource": resource,
                "account": account,
                "rule": link.rule,
                "principal": link.principal,
                "detail": link.detail or None,
            }

    def _resolved(self, resource: str, account: str, hints: Hints) -> Link:
        linked = self._rules.linked(resource, account)
        if linked is not None:
            return Link(linked, "catalog", "linked in the catalog")
        conflict = ""
        for rule, what, names in self._candidates(resource, account, hints):
            if len(names) == 1:
                return Link(next(iter(names)), rule, what)
            if len(names) > 1:
                conflict = f"{rule} `{what}` is of {', '.join(sorted(names))}"
        return Link(None, UNRESOLVED, conflict or "no rule names anybody")

    def _candidates(self, resource: str, account: str, hints: Hints) -> Iterable[tuple[str, str, frozenset[str]]]:
        rules, nobody, name = self._rules, frozenset[str](), account.lower()
        yield "mapping", account, rules.mapping.get((resource, name), rules.mapping.get(("*", name), nobody))
        yield from self._hinted(hints)
        if "@" in name:
            yield "mail", name, rules.mails.get(name, nobody)
        if hints.session:
            yield _SESSION, hints.session, self._by_name(hints.session.lower())
        login = hints.login or account
        yield "login", login, rules.logins.get(login.lower(), nobody)

    def _hinted(self, hints: Hints) -> Iterable[tuple[str, str, frozenset[str]]]:
        mail = hints.mail.lower()
        if hints.key:
            yield "ssh key", hints.key, self._rules.keys.get(hints.key, frozenset())
        if "@" in mail:
            yield "mail", mail, self._rules.mails.get(mail, frozenset())

    def _by_name(self, name: str) -> frozenset[str]:
        rules = self._rules
        return rules.mails.get(name) or rules.names.get(name) or rules.logins.get(name) or frozenset()
