"""What a statement changes about who holds which role, as its text says it. Called by `periods`.

Guarantee: a role that the text does not name (`CURRENT_USER`) is never made up; such a statement, and one that cannot
be parsed, is `Unclear`. Powers of a role are held like roles, under names such as `(superuser)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from lapse.domain.errors import LapseError, Unavailable
from lapse.protocols.postgres.parser import Tree, parse

_GIVES = re.compile(r"\b(?:grant|revoke)\b", re.IGNORECASE)
_MAKES = re.compile(r"\b(?:create|alter|drop)\b", re.IGNORECASE)
_ROLE = re.compile(r"\b(?:role|user|group)\b", re.IGNORECASE)
_ENDS = re.compile(r"\s*(?:commit|end|rollback|abort)\b", re.IGNORECASE)
_CUT = re.compile(r"\s<REDACTED>\s*\Z")
_POWERS = {
    "superuser": "(superuser)",
    "createrole": "(createrole)",
    "createdb": "(createdb)",
    "isreplication": "(replication)",
    "bypassrls": "(bypassrls)",
}
_MEMBERS = frozenset({"rolemembers", "adminmembers"})


class Act(StrEnum):
    """What happens. The last three are of the transaction, `UNDO` of a part of it; `RENAME` calls `account` `role`."""

    GIVE = "give"
    TAKE = "take"
    DROP = "drop"
    RENAME = "rename"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    UNDO = "undo"


class Change(msgspec.Struct, frozen=True):
    """One thing that a statement does."""

    act: Act
    account: str = ""
    role: str = ""


class Unclear(Exception):  # noqa: N818  the name says what it is in a sentence
    """Who gets or loses what is not in the text; the message says why, in words that do not vary."""


def may_change(text: str) -> bool:
    """Whether `text` could be about roles, or end a transaction: a quick look before the parser's."""
    if _ENDS.match(text) or _GIVES.search(text):
        return True
    made = _MAKES.search(text)
    return made is not None and _ROLE.search(text, made.end()) is not None


def changes_of(text: str, user: str) -> list[Change]:
    """The changes that `text` makes when the login `user` runs it, in order.

    Raises:
        Unclear: it is about roles, and the text does not say which, or it cannot be parsed.
    """
    cut = _CUT.search(text)
    try:
        trees = parse(text[: cut.start()] + " ''" if cut else text)
    except Unavailable:
        raise Unclear("statements that may be about roles; to read them, install `lapse[guard]`") from None
    except LapseError:
        raise Unclear("statements that may be about roles and could not be parsed") from None
    found = [change for tree in trees for change in _changes(tree, user)]
    if cut:
        raise Partly(found)
    return found


class Partly(Unclear):
    """The text was cut at a password; `found` is what it says before."""

    def __init__(self, found: list[Change]) -> None:
        super().__init__("statements that pgaudit cut at a password, so that what follows it was not seen")
        self.found = found


def _changes(tree: Tree, user: str) -> Iterator[Change]:
    for kind, node in tree.items():
        read = _READERS.get(kind)
        if read is not None:
            yield from read(node, user)


def _grant(node: Mapping[str, Any], user: str) -> Iterator[Change]:
    options = [option["DefElem"] for option in node.get("opt", ())]
    given = bool(node.get("is_grant"))
    if options and not given:
        return  # REVOKE … OPTION FOR leaves the membership
    act = Act.GIVE if given else Act.TAKE
    for role in node.get("granted_roles", ()):
        for account in _names(node.get("grantee_roles", ()), user):
            yield Change(act, account, role["AccessPriv"].get("priv_name", ""))


def _create(node: Mapping[str, Any], user: str) -> Iterator[Change]:
    name = node.get("role", "")
    for option in _options(node):
        what = option["defname"]
        if what == "addroleto":
            yield from (Change(Act.GIVE, name, role) for role in _listed(option, user))
        elif what in _MEMBERS:
            yield from (Change(Act.GIVE, member, name) for member in _listed(option, user))
        elif what in _POWERS and _is_on(option):
            yield Change(Act.GIVE, name, _POWERS[what])


def _alter(node: Mapping[str, Any], user: str) -> Iterator[Change]:
    (name,) = _names([{"RoleSpec": node["role"]}], user)
    for option in _options(node):
        what = option["defname"]
        if what in _MEMBERS:
            act = Act.GIVE if node.get("action", 1) > 0 else Act.TAKE
            yield from (Change(act, member, name) for member in _listed(option, user))
        elif what in _POWERS:
            yield Change(Act.GIVE if _is_on(option) else Act.TAKE, name, _POWERS[what])


def _drop(node: Mapping[str, Any], user: str) -> Iterator[Change]:
    for name in _names(node.get("roles", ()), user):
        yield Change(Act.DROP, name)


def _rename(node: Mapping[str, Any], _user: str) -> Iterator[Change]:
    if node.get("renameType") == "OBJECT_ROLE":
        yield Change(Act.RENAME, node.get("subname", ""), node.get("newname", ""))


def _transaction(node: Mapping[str, Any], _user: str) -> Iterator[Change]:
    kind = node.get("kind", "")
    if kind in {"TRANS_STMT_COMMIT", "TRANS_STMT_COMMIT_PREPARED"}:
        yield Change(Act.COMMIT)
    elif kind == "TRANS_STMT_ROLLBACK_TO":
        yield Change(Act.UNDO)
    elif kind.startswith("TRANS_STMT_ROLLBACK"):
        yield Change(Act.ROLLBACK)


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Change]]] = {
    "GrantRoleStmt": _grant,
    "CreateRoleStmt": _create,
    "AlterRoleStmt": _alter,
    "DropRoleStmt": _drop,
    "RenameStmt": _rename,
    "TransactionStmt": _transaction,
}


def _names(specs: Iterable[Mapping[str, Any]], user: str) -> Iterator[str]:
    for spec in specs:
        role = spec["RoleSpec"]
        if role.get("roletype") == "ROLESPEC_CSTRING":
            yield role.get("rolename", "")
        elif role.get("roletype") == "ROLESPEC_SESSION_USER":
            yield user
        else:
            raise Unclear("statements about roles that name the current user, whom the log does not show")


def _options(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (option["DefElem"] for option in node.get("options", ()))


def _listed(option: Mapping[str, Any], user: str) -> Iterator[str]:
    return _names(option.get("arg", {}).get("List", {}).get("items", ()), user)


def _is_on(option: Mapping[str, Any]) -> bool:
    return bool(option.get("arg", {}).get("Boolean", {}).get("boolval"))
