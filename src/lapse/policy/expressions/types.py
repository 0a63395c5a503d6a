"""What conditions can see: the variables with their attributes and types, and the functions.

One table, used to check expressions, to build what the engine is given, and to keep the documentation true.
No attribute is ever null or missing: what is not known is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Type:
    """A CEL type: `name`, what a list or map holds (`of`), an object's `fields`, a text's only `choices`."""

    name: str
    of: Type | None = None
    fields: Mapping[str, Type] = field(default_factory=dict)
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = _WORDS.get(self.name, self.name)
        return f"{words} of {self.of}" if self.of and self.name == "list" else words


_WORDS = {
    "string": "text",
    "int": "a whole number",
    "uint": "an unsigned number",
    "double": "a decimal number",
    "bool": "true or false",
    "timestamp": "a time",
    "duration": "a duration",
    "list": "a list",
    "map": "a map",
    "object": "a group of attributes",
    "null": "null",
    "dyn": "anything",
}

BOOL, TEXT, INT = Type("bool"), Type("string"), Type("int")
UINT, DOUBLE, NULL = Type("uint"), Type("double"), Type("null")
TIME, DURATION, ANY = Type("timestamp"), Type("duration"), Type("dyn")
TEXTS, TAGS = Type("list", of=TEXT), Type("map", of=TEXT)

_PRINCIPAL = Type(
    "object",
    fields={
        "name": TEXT,
        "kind": Type("string", choices=("person", "service", "agent")),
        "person": TEXT,
        "display_name": TEXT,
        "email": TEXT,
        "groups": TEXTS,
        "humans": TEXTS,
        "human_groups": TEXTS,
        "department": TEXT,
        "title": TEXT,
        "manager": TEXT,
        "sponsor": TEXT,
        "owner": TEXT,
        "active": BOOL,
    },
)
_RESOURCE = Type("object", fields={"name": TEXT, "connector": TEXT, "title": TEXT, "owner": TEXT, "tags": TAGS})
_ENTITLEMENT = Type("object", fields={"name": TEXT, "role": TEXT, "title": TEXT, "tags": TAGS})
_REQUEST = Type(
    "object",
    fields={
        "duration": DURATION,
        "total_duration": DURATION,
        "is_extension": BOOL,
        "for_self": BOOL,
        "justification": TEXT,
        "ticket": Type("object", fields={"system": TEXT, "number": TEXT}),
        "at": TIME,
        "starts_at": TIME,
    },
)

VARIABLES: Mapping[str, Type] = {
    "principal": _PRINCIPAL,
    "beneficiary": _PRINCIPAL,
    "requester": _PRINCIPAL,
    "resource": _RESOURCE,
    "entitlement": _ENTITLEMENT,
    "request": _REQUEST,
    "context": Type("map", of=ANY),
}
"""`principal` is who would hold the access: another name for `beneficiary`."""

MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})

_NUMBERS = ("int", "uint", "double", "string")
FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Type]] = {
    "size": (("string", "list", "map"), INT),
    "int": (_NUMBERS, INT),
    "double": (_NUMBERS, DOUBLE),
    "string": ((*_NUMBERS, "timestamp", "duration"), TEXT),
    "duration": (("string",), DURATION),
    "timestamp": (("string",), TIME),
}
"""Functions of one argument: the types it may have, and the result."""

_CLOCK = ("getHours", "getMinutes", "getSeconds", "getMilliseconds")
_CALENDAR = ("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfYear", "getDayOfWeek")
METHODS: Mapping[str, tuple[tuple[str, ...], tuple[Type, ...], Type]] = {
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), (("string",), (TEXT,), BOOL)),
    "size": (("string", "list", "map"), (), INT),
    **dict.fromkeys(_CLOCK, (("timestamp", "duration"), (), INT)),
    **dict.fromkeys(_CALENDAR, (("timestamp",), (), INT)),
}
"""Methods: the types of the receiver, of each argument, and of the result. Calendar methods count in UTC."""
