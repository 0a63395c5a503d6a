"""Read CEL text into a tree (the language definition's syntax section, without messages and optional syntax).

The engine that runs expressions is the judge of syntax; this reader exists because the engine does not hand out
its tree, and without one a misspelt attribute would only be found when a person is refused. What the engine
accepts and this reader does not is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lapse.policy.expressions.syntax import (
    Binary,
    Call,
    Choice,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Select,
    Unary,
)

LONGEST = 2_000
"""Characters in one expression."""

MOST_TOKENS = 400
"""Words and signs in one expression: what a person can still review, and far below what a stack can bear."""

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|//[^\n]*)
  | (?P<string>[rR]?(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_LEVELS = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_CONSTANTS = {"true": "bool", "false": "bool", "null": "null"}


DEEPEST = 40
"""Brackets within brackets: the engine bears twice as many, but not on a small stack."""


class ReadError(Exception):
    """The text is not in the subset that policies may use; `at` is the offset where it leaves it."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


@dataclass(frozen=True, slots=True)
class _Token:
    at: int
    kind: str
    text: str


def read(text: str) -> Node:
    """The tree of `text`; `ReadError` where it is not an expression that policies may use."""
    return _Reader(_tokens(text)).whole()


def check_size(text: str) -> None:
    """Raise `ReadError` if `text` has more words and signs, or deeper brackets, than anything that is run may have.

    To be called before the engine sees it: what is nested too deeply ends its whole process.
    """
    at = count = depth = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        sign = match.group() if match is not None else text[at]
        count += match is not None and match.lastgroup != "blank"
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if count > MOST_TOKENS:
            raise ReadError(at, f"the condition has more than {MOST_TOKENS} words and signs")
        if depth > DEEPEST:
            raise ReadError(at, f"the condition is nested more than {DEEPEST} deep")
        at += len(sign)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ReadError(at, f"`{text[at]}` is not used in conditions")
        if match.lastgroup != "blank":
            tokens.append(_Token(at, str(match.lastgroup), match.group()))
        at = match.end()
    tokens.append(_Token(len(text), "end", "the end"))
    return tokens


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._peek.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next += token.kind != "end"
        return token

    def _accept(self, *signs: str) -> _Token | None:
        return self._take() if self._peek.text in signs and self._peek.kind in {"sign", "name"} else None

    def _expect(self, sign: str) -> _Token:
        token = self._accept(sign)
        if token is None:
            raise self._unexpected()
        return token

    def _unexpected(self) -> ReadError:
        return ReadError(self._peek.at, f"`{self._peek.text}` is not expected here")

    def _choice(self) -> Node:
        condition = self._binary(0)
        question = self._accept("?")
        if question is None:
            return condition
        yes = self._binary(0)
        self._expect(":")
        return Choice(question.at, condition, yes, self._choice())

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while operator := self._accept(*_LEVELS[level]):
            left = Binary(operator.at, operator.text, left, self._binary(level + 1))
        return left

    def _unary(self) -> Node:
        operator = self._accept("!", "-")
        if operator is None:
            return self._member()
        twice = False
        while self._accept(operator.text):
            twice = not twice
        once = Unary(operator.at, operator.text, self._member())
        return Unary(operator.at, operator.text, once) if twice else once

    def _member(self) -> Node:
        node = self._primary()
        while sign := self._accept(".", "["):
            if sign.text == "[":
                node = Index(sign.at, node, self._choice())
                self._expect("]")
            else:
                node = self._field(node)
        return node

    def _field(self, operand: Node) -> Node:
        name = self._take()
        if name.kind != "name":
            raise ReadError(name.at, f"`{name.text}` is not expected after a dot")
        if self._accept("("):
            return Call(name.at, name.text, operand, self._list(")"))
        return Select(name.at, operand, name.text)

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "string":
            return Literal(token.at, "string", token.text, _plain_text(token.text))
        if token.kind == "number":
            return Literal(token.at, _number_kind(token.text), token.text)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(" and token.kind == "sign":
            node = self._choice()
            self._expect(")")
            return node
        if token.text == "[":
            return ListOf(token.at, self._list("]"))
        if token.text == "{":
            return MapOf(token.at, self._pairs())
        raise ReadError(token.at, f"`{token.text}` is not expected here")

    def _named(self, token: _Token) -> Node:
        if token.text in _CONSTANTS:
            return Literal(token.at, _CONSTANTS[token.text], token.text)
        if self._peek.text == "{" and self._peek.kind == "sign":
            raise ReadError(token.at, "messages cannot be built in conditions")
        if self._accept("("):
            return Call(token.at, token.text, None, self._list(")"))
        return Name(token.at, token.text)

    def _list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._accept(end):
            items.append(self._choice())
            if not self._accept(","):
                self._expect(end)
                break
        return tuple(items)

    def _pairs(self) -> tuple[tuple[Node, Node], ...]:
        items: list[tuple[Node, Node]] = []
        while not self._accept("}"):
            key = self._choice()
            self._expect(":")
            items.append((key, self._choice()))
            if not self._accept(","):
                self._expect("}")
                break
        return tuple(items)


def _plain_text(source: str) -> str | None:
    """The value of a string literal without escapes; None where escapes would have to be interpreted."""
    body = source.lstrip("rR")
    marks = 3 if body.startswith(('"""', "'''")) else 1
    text = body[marks:-marks]
    return text if "\\" not in text or source[0] in "rR" else None


def _number_kind(source: str) -> str:
    if source[-1] in "uU":
        return "uint"
    return "double" if not source.lower().startswith("0x") and any(c in source for c in ".eE") else "int"
