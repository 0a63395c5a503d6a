"""What a text of SQL does, as far as its text says: the classes of its statements, their tables, what they hide.

Guarantees: a text is judged whole, however many statements it has; what is nested (in WITH, EXPLAIN, PREPARE, a
cursor, a view) counts like what is outside; a statement of a kind that is not known is `other`. The names of views and
functions are seen, not what is behind them: `docs/guardrails.md` says what follows from that. Called by `judging`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lapse.domain.guards import StatementClass as Class
from lapse.protocols.postgres.hidden import SET_CONFIG, classes_of, reads_unseen
from lapse.protocols.postgres.parser import Tree, parse

_REMEMBERED, _SHORT = 2_048, 4_096


@dataclass(frozen=True, slots=True, order=True)
class Table:
    """A table, view, index or sequence by name; no `schema`: it is in whichever the search path says."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Setting:
    """A run-time parameter that is changed; `value` is "" where it is not said, `name` where it is not a constant."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one text does, all its statements together.

    `everywhere`: it changes or removes rows, and no column says which. `unseen` are words for what reads or writes
    tables that the text does not name. `executes`: it runs what was prepared before. `writable`: it asks for a
    transaction that may write. `copies_out`: it sends rows as COPY data. `names` are the functions it calls, with
    their schemas.
    """

    classes: frozenset[Class] = frozenset()
    tables: frozenset[Table] = frozenset()
    settings: frozenset[Setting] = frozenset()
    names: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    everywhere: bool = False
    executes: bool = False
    prepares: bool = False
    writable: bool = False
    copies_out: bool = False


def judged(text: str) -> Judged:
    """What `text` does; short texts are remembered.

    Raises:
        Refused: it cannot be parsed.
        Unavailable: the parser is not installed.
    """
    return _remembered(text) if len(text) <= _SHORT else _judged(text)


def _judged(text: str) -> Judged:
    reader = _Reader()
    for tree in parse(text):
        reader.read(tree, frozenset())
        reader.read_all()
    return reader.judged()


_remembered = lru_cache(_REMEMBERED)(_judged)

_KINDS: dict[str, Class] = {
    name: kind
    for kind, names in {
        Class.READ: "Explain DeclareCursor Fetch ClosePortal VariableShow Deallocate",
        Class.DEFINE: """Create View Index Rename Comment Rule CompositeType Define Drop CreateTableAs CreateSchema
            AlterTable AlterTableMoveAll AlterDomain CreateDomain CreateEnum CreateRange AlterEnum AlterType
            CreateFunction AlterFunction CreateTrig CreateEventTrig AlterEventTrig CreateSeq AlterSeq CreateCast
            CreateConversion CreateTransform CreateOpClass CreateOpFamily AlterOpFamily AlterOperator AlterCollation
            CreateExtension AlterExtension AlterExtensionContents CreateFdw AlterFdw CreateForeignServer
            AlterForeignServer CreateForeignTable ImportForeignSchema CreateStats AlterStats CreatePLang CreateAm
            AlterTSDictionary AlterTSConfiguration AlterObjectSchema AlterObjectDepends CreatePublication
            AlterPublication CreateSubscription AlterSubscription DropSubscription Createdb Dropdb AlterDatabase
            AlterDatabaseRefreshColl CreateTableSpace DropTableSpace AlterTableSpaceOptions""",
        Class.PRIVILEGE: """Grant GrantRole CreateRole AlterRole AlterRoleSet DropRole AlterOwner
            AlterDefaultPrivileges ReassignOwned DropOwned CreatePolicy AlterPolicy SecLabel CreateUserMapping
            AlterUserMapping DropUserMapping AlterSystem AlterDatabaseSet""",
        Class.TRANSACTION: "Transaction ConstraintsSet",
        Class.SETTING: "VariableSet Discard",
        Class.CALL: "Call Do",
        Class.MAINTENANCE: "Vacuum Reindex Cluster CheckPoint RefreshMatView Lock",
        Class.INSERT: "Insert",
        Class.UPDATE: "Update",
        Class.DELETE: "Delete Truncate",
    }.items()
    for name in names.split()
}
_OF_THEIR_PARTS = frozenset({"Select", "Merge", "Copy", "Prepare", "Execute", "Return", "PLAssign"})
"""Statements whose classes come from what they hold."""

_UNSEEN = {
    "Do": "DO", "CreateFunction": "the body of a function", "Comment": "COMMENT", "ReassignOwned": "REASSIGN OWNED",
    "DropOwned": "DROP OWNED", "SecLabel": "SECURITY LABEL", "CreateExtension": "an extension", "Call": "CALL",
    "AlterExtension": "an extension", "AlterExtensionContents": "an extension", "Load": "LOAD",
    "AlterOwner": "ALTER … OWNER", "AlterDefaultPrivileges": "ALTER DEFAULT PRIVILEGES",
    "ImportForeignSchema": "IMPORT FOREIGN SCHEMA", "CreateSubscription": "a subscription",
    "AlterSubscription": "a subscription", "AlterTableMoveAll": "ALTER TABLE ALL", "Dropdb": "DROP DATABASE",
}  # fmt: skip
_RELATIONS = frozenset(
    {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE"}
)
_WITH_RELATION = frozenset({"Reindex", "Cluster"})
_OWN_ROLE = frozenset({"role", "session_authorization"})
_MERGES = {"CMD_INSERT": Class.INSERT, "CMD_UPDATE": Class.UPDATE, "CMD_DELETE": Class.DELETE}
_Scope = frozenset[str]


@dataclass
class _Reader:
    """Goes through the trees of one text. A scope is the names that WITH gives at a place: they are no tables."""

    classes: set[Class] = field(default_factory=set)
    tables: set[Table] = field(default_factory=set)
    settings: set[Setting] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    everywhere: bool = False
    executes: bool = False
    prepares: bool = False
    writable: bool = False
    copies_out: bool = False
    waiting: list[tuple[Any, _Scope]] = field(default_factory=list)

    def judged(self) -> Judged:
        return Judged(
            classes=frozenset(self.classes or {Class.READ}),
            tables=frozenset(self.tables),
            settings=frozenset(self.settings),
            names=frozenset(self.names),
            unseen=frozenset(self.unseen),
            everywhere=self.everywhere,
            executes=self.executes,
            prepares=self.prepares,
            writable=self.writable,
            copies_out=self.copies_out,
        )

    def read(self, found: Any, scope: _Scope) -> None:
        """Note a node, a list of nodes, or something that is neither, to be read."""
        self.waiting.append((found, scope))

    def read_all(self) -> None:
        """Read what was noted, and what is in it: without recursion, since trees may be deep."""
        while self.waiting:
            found, scope = self.waiting.pop()
            if isinstance(found, list):
                self.waiting += [(item, scope) for item in found]
            elif isinstance(found, dict):
                self._fields(found, self._with(found, scope))

    def _fields(self, found: Tree, scope: _Scope) -> None:
        for key, value in found.items():
            if key[:1].isupper() and isinstance(value, dict):
                self._node(key, value, scope)
            elif key == "relation":
                self._target(value)
            elif key not in {"withClause", "lockedRels"} and isinstance(value, list | dict):
                self._field(key, value, scope)

    def _field(self, key: str, value: Any, scope: _Scope) -> None:
        """Some fields hold a node without its name around it."""
        if isinstance(value, dict) and "relname" in value:
            self._table(value, frozenset())
        elif key in {"larg", "rarg"} and isinstance(value, dict) and "SelectStmt" not in value:
            # The two sides of a UNION are bare, the sides of a JOIN are named.
            self._side(value, scope)
        else:
            self.read(value, scope)

    def _side(self, value: Tree, scope: _Scope) -> None:
        if any(key[:1].isupper() for key in value):
            self.read(value, scope)
        else:
            self._node("SelectStmt", value, scope)

    def _node(self, name: str, node: Tree, scope: _Scope) -> None:
        if name.endswith("Stmt"):
            self._statement(name.removesuffix("Stmt"), node)
        elif name == "RangeVar":
            self._table(node, scope)
            return
        elif name == "FuncCall":
            self._call(node)
        self.read(node, scope)

    def _with(self, node: Tree, scope: _Scope) -> _Scope:
        """Read the queries of WITH, each with the names that it may use; the scope of what follows."""
        clause = node.get("withClause")
        if not clause:
            return scope
        queries = [item["CommonTableExpr"] for item in clause.get("ctes", ())]
        every = scope | {query["ctename"] for query in queries}
        for query in queries:
            self.read(query, every if clause.get("recursive") else scope)
            scope |= {query["ctename"]}
        return every

    def _target(self, relation: Any) -> None:
        """What a statement changes is a table, whatever WITH calls its queries."""
        if isinstance(relation, dict):
            node = relation.get("RangeVar", relation)
            if "relname" in node:
                self._table(node, frozenset())
            else:
                self.read(relation, frozenset())

    def _table(self, node: Tree, scope: _Scope) -> None:
        schema, name = node.get("schemaname", ""), node.get("relname", "")
        if schema or name not in scope:
            self.tables.add(Table(schema, name))

    def _call(self, node: Tree) -> None:
        parts = _strings(node.get("funcname", ()))
        if not parts:
            return
        self.names.add(".".join(parts))
        self.classes |= classes_of(parts[-1])
        if reads_unseen(parts[-1]):
            self.unseen.add(f"`{parts[-1]}`")
        if parts[-1] == SET_CONFIG:
            arguments = [_constant(argument) for argument in node.get("args", ())]
            self.settings.add(Setting(*(part.lower() for part in [*arguments, "", ""][:2])))

    def _statement(self, name: str, node: Tree) -> None:
        if name in _KINDS:
            self.classes.add(_KINDS[name])
        elif name not in _OF_THEIR_PARTS:
            self.classes.add(Class.OTHER)
        if name in _UNSEEN:
            self.unseen.add(_UNSEEN[name])
        if name in _WITH_RELATION and "relation" not in node:
            self.unseen.add(name.upper())
        special = getattr(self, f"_{name.lower()}", None)
        if special is not None:
            special(node)

    def _select(self, node: Tree) -> None:
        if "valuesLists" not in node:
            self.classes.add(Class.READ)
        if "intoClause" in node:
            self.classes.add(Class.DEFINE)
            self._target(node["intoClause"].get("rel"))
        if "lockingClause" in node:
            self.classes.add(Class.UPDATE)

    def _insert(self, node: Tree) -> None:
        if node.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
            self.classes.add(Class.UPDATE)

    def _update(self, node: Tree) -> None:
        self.everywhere |= not _mentions(node.get("whereClause"), {"ColumnRef", "CurrentOfExpr"})

    _delete = _update

    def _truncate(self, _node: Tree) -> None:
        self.everywhere = True

    def _merge(self, node: Tree) -> None:
        self.classes.add(Class.READ)
        for clause in node.get("mergeWhenClauses", ()):
            self.classes |= {
                _MERGES[kind] for kind in [clause["MergeWhenClause"].get("commandType")] if kind in _MERGES
            }

    def _copy(self, node: Tree) -> None:
        self.classes |= {Class.COPY_IN} if node.get("is_from") else {Class.COPY_OUT}
        self.copies_out |= not node.get("is_from")
        if "filename" in node or node.get("is_program"):
            self.classes.add(Class.OTHER)
            self.unseen.add("COPY with a file or program")

    def _execute(self, _node: Tree) -> None:
        self.executes = True

    def _prepare(self, _node: Tree) -> None:
        self.prepares = True

    def _transaction(self, node: Tree) -> None:
        self._modes(node.get("options", ()))

    def _modes(self, options: Iterable[Tree]) -> None:
        for option in options:
            element = option.get("DefElem", {})
            if element.get("defname") == "transaction_read_only" and not _integer(element.get("arg")):
                self.writable = True

    def _variableset(self, node: Tree) -> None:
        name = node.get("name", "").lower()
        if name in {"transaction", "session characteristics"} and node.get("kind") == "VAR_SET_MULTI":
            self._modes(node.get("args", ()))
            if name == "transaction":
                self.classes.add(Class.TRANSACTION)
                self.classes.discard(Class.SETTING)
                return
        if name in _OWN_ROLE:
            self.classes.add(Class.PRIVILEGE)
        values = [_constant(argument) for argument in node.get("args", ())]
        if node.get("kind") in {"VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT"}:
            values = ["default"]
        self.settings.add(Setting(name or "all", ",".join(values).lower()))

    def _altersystem(self, _node: Tree) -> None:
        self.classes.add(Class.SETTING)

    def _drop(self, node: Tree) -> None:
        if node.get("removeType") not in _RELATIONS:
            self.unseen.add("DROP")
            return
        for item in node.get("objects", ()):
            self._named(_strings(item.get("List", {}).get("items", ())))

    def _named(self, parts: list[str]) -> None:
        if parts:
            self.tables.add(Table(parts[-2] if len(parts) > 1 else "", parts[-1]))

    def _grant(self, node: Tree) -> None:
        if node.get("targtype") != "ACL_TARGET_OBJECT":
            self.unseen.add("GRANT or REVOKE for a whole schema")

    def _vacuum(self, node: Tree) -> None:
        if "rels" not in node:
            self.unseen.add("VACUUM or ANALYZE of everything")

    def _altertable(self, node: Tree) -> None:
        for command in node.get("cmds", ()):
            if command.get("AlterTableCmd", {}).get("subtype") == "AT_ChangeOwner":
                self.classes.add(Class.PRIVILEGE)


def _strings(items: Iterable[Tree]) -> list[str]:
    return [item["String"].get("sval", "") for item in items if "String" in item]


def _mentions(found: Any, names: set[str]) -> bool:
    """Whether a node with one of these names is anywhere in `found`."""
    waiting = [found]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if not names.isdisjoint(found):
                return True
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    return False


def _constant(node: Tree) -> str:
    """The text of a constant, also under a cast; "" for everything else."""
    while "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    constant = node.get("A_Const", {})
    if "sval" in constant:
        return str(constant["sval"].get("sval", ""))
    if "boolval" in constant:
        return "on" if constant["boolval"].get("boolval") else "off"
    return str(constant["ival"].get("ival", 0)) if "ival" in constant else ""


def _integer(node: Tree | None) -> int:
    return int((node or {}).get("A_Const", {}).get("ival", {}).get("ival", 0))
