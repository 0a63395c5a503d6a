"""The parts that integrations are made of: secrets, URLs, headers, and a map that is one of several kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lapse.bootstrap.integrations.settings import Auth, SecretKind, SecretRef, Web
from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, is_printable, shown
from lapse.policy.parts import NAME_SCHEMA
from lapse.policy.problems import nearest
from lapse.policy.shape import Either, Flag, Found, Key, Record, Schema, Shape, Sink, Text, Whole
from lapse.policy.yaml_tree import Map, Scalar, Tree
from lapse.web.answers import check_pointer
from lapse.web.urls import UrlTemplate, check_url

T = TypeVar("T")
MOST_PAIRS = 200
LONGEST_SECONDS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def _line(text: str) -> str:
    if not text.strip() or len(text) > 2_000 or not is_printable(text):  # noqa: PLR2004  longer than any honest line
        raise InvalidInput("this must be one printable line")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise InvalidInput(f"`{shown(text)}` is not the name of a variable", hint="write it as `JIRA_TOKEN`")
    return text


def word_of(kind: Any, what: str) -> Text[Any]:
    """One word of an enumeration; `what` names it in messages."""
    words = [str(word) for word in kind]

    def parse(text: str) -> Any:
        if text not in words:
            raise InvalidInput(f"`{shown(text)}` is not {what}", hint=f"it is one of {', '.join(words)}")
        return kind(text)

    return Text(parse, {"enum": words})


def matching(pattern: re.Pattern[str], what: str, example: str) -> Text[str]:
    """A text that matches `pattern`, without two dots in a row; `what` names it in messages."""

    def parse(text: str) -> str:
        if not pattern.fullmatch(text) or ".." in text:
            raise InvalidInput(f"`{shown(text)}` is not {what}", hint=f"write it as `{example}`")
        return text

    return Text(parse, {"examples": [example]})


NAME = Text(check_name, NAME_SCHEMA)
LINE = Text(_line, {"minLength": 1, "maxLength": 2000})
KIND = Key("kind", LINE, "What it is.", required=True)
POINTER = Text(check_pointer, {"pattern": "^(/.*)?$", "examples": ["/fields/status/name"]})


def _build_secret(found: Found, sink: Sink) -> SecretRef:
    if len(found.values) != 1:
        raise sink.report(found.place, "a secret is in one place", "give one of `env`, `file` and `sealed`")
    ((kind, where),) = found.values.items()
    return SecretRef(SecretKind(kind), where)


SECRET = Record(
    "a secret",
    (
        Key("env", Text(_variable), "The variable of the server's environment that holds it."),
        Key("file", LINE, "The file that holds it; relative to the home folder."),
        Key("sealed", LINE, "What `lapse integration seal` printed for it."),
    ),
    _build_secret,
    {"minProperties": 1, "maxProperties": 1},
)


@dataclass(frozen=True)
class Pairs(Generic[T]):
    """A map from any text to values of one shape."""

    value: Shape[T]
    what: str

    def read(self, tree: Tree, sink: Sink) -> Mapping[str, T]:
        """All of them."""
        if not isinstance(tree, Map):
            raise sink.report(tree.place, f"{self.what} are written as `key: value` lines")
        if len(tree.entries) > MOST_PAIRS:
            raise sink.report(tree.place, f"these are more than {MOST_PAIRS}")
        return {key.text: self.value.read(node, sink) for key, node in tree.entries.values()}

    def schema(self) -> Schema:
        """An object."""
        return {"type": "object", "additionalProperties": self.value.schema()}


@dataclass(frozen=True)
class Headers:
    """Names of headers to constants or secrets."""

    pairs: Pairs[str | SecretRef] = field(default_factory=lambda: Pairs(Either(LINE, SECRET), "headers"))

    def read(self, tree: Tree, sink: Sink) -> Mapping[str, str | SecretRef]:
        """All of them, their names checked."""
        found = self.pairs.read(tree, sink)
        for name in found:
            if not _HEADER.fullmatch(name) or name.lower() in {"host", "content-length", "transfer-encoding"}:
                raise sink.report(tree.place, f"`{shown(name)}` is not a header that can be set")
        return found

    def schema(self) -> Schema:
        """An object."""
        return self.pairs.schema()


@dataclass(frozen=True)
class ByKind(Generic[T]):
    """A map whose `kind` says which of several records it is."""

    title: str
    kinds: Mapping[str, Record[T]]

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value of the record of that kind."""
        if not isinstance(tree, Map):
            raise sink.report(tree.place, f"{self.title} is written as `key: value` lines")
        if "kind" not in tree.entries:
            listed = ", ".join(f"`{kind}`" for kind in self.kinds)
            raise sink.report(tree.place, f"the key `kind` is missing in {self.title}", f"it is one of {listed}")
        node = tree.entries["kind"][1]
        record = self.kinds.get(node.text) if isinstance(node, Scalar) else None
        if record is None:
            word = node.text if isinstance(node, Scalar) else "this"
            what = self.title.removeprefix("a ")
            raise sink.report(node.place, f"`{shown(word)}` is no kind of {what}", nearest(word, self.kinds))
        return record.read(tree, sink)

    def schema(self) -> Schema:
        """One of the records."""
        return {"oneOf": [self._variant(kind, record) for kind, record in self.kinds.items()]}

    @staticmethod
    def _variant(kind: str, record: Record[T]) -> Schema:
        variant = record.schema()
        variant["properties"]["kind"] = {"const": kind}
        return variant


def _build_auth(found: Found, sink: Sink) -> Auth:
    if ("bearer" in found.values) == ("user" in found.values or "password" in found.values):
        raise sink.report(found.place, "who calls is a `bearer` token, or a `user` with a `password`")
    if ("user" in found.values) != ("password" in found.values):
        raise sink.report(found.place, "`user` and `password` belong together")
    return Auth(bearer=found.get("bearer"), user=found.get("user", ""), password=found.get("password"))


AUTH = Record(
    "who calls",
    (
        Key("bearer", SECRET, "A token, sent as `Authorization: Bearer …`."),
        Key("user", LINE, "A user name, sent with the password."),
        Key("password", SECRET, "The password, or an API token that stands for it."),
    ),
    _build_auth,
)
WEB_KEYS = (
    Key("auth", AUTH, "Who calls."),
    Key("headers", Headers(), "More headers, each a text or a secret."),
    Key("seconds", Whole(1, LONGEST_SECONDS), "How long an answer may take; 5 if left out."),
    Key("ca_file", LINE, "A file with the authorities to trust instead of the machine's."),
    Key("plain", Flag(), "`true` to call another machine without TLS, over http."),
)


def build_web(found: Found) -> Web:
    """How the system is called."""
    return Web(
        auth=found.get("auth"),
        headers=found.get("headers", {}),
        seconds=found.get("seconds", 5),
        ca_file=found.get("ca_file", ""),
    )


def url_of(found: Found, sink: Sink, name: str = "url") -> str | SecretRef:
    """The value of `name`: a checked URL, or a secret that is one."""
    value: str | SecretRef = found.values[name]
    if isinstance(value, SecretRef):
        return value
    try:
        return check_url(value, plain=found.get("plain", False))
    except InvalidInput as error:
        raise sink.report(found.place_of(name), error.message, error.hint) from None


def template_of(found: Found, sink: Sink, places: frozenset[str], text: Any = None) -> UrlTemplate:
    """The URL template under `url`."""
    try:
        return UrlTemplate.parse(text or found.values["url"], places, plain=found.get("plain", False))
    except InvalidInput as error:
        raise sink.report(found.place_of("url"), error.message, error.hint) from None


URL_OR_SECRET = Either[str | SecretRef](LINE, SECRET)
