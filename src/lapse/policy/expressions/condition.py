"""Conditions ready to run: compiled once when a policy is read, run for every question.

`compile_condition` is called by the policy parser; `Condition.holds` by the evaluator. Whatever goes wrong while
running is a `ConditionError`: the evaluator turns it into "failed", which never permits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lapse.domain.names import shown
from lapse.policy.expressions.checker import Fault, check
from lapse.policy.expressions.reader import LONGEST, ReadError, check_size, read
from lapse.policy.expressions.sight import EVERYTHING, Sight, sight_of
from lapse.policy.expressions.syntax import Literal, Node, calls
from lapse.policy.expressions.work import MOST_STEPS, Steps, steps_for, steps_of
from lapse.policy.values import Ask

_ENGINE_ERROR = re.compile(r"ERROR: <input>:(\d{1,9}):(\d{1,9}): ([^\n]*)")
_UNKNOWN = re.compile(r"Undefined variable or function: '(\w+)'")
_FIRST_CONTROL = 0x20
_LONGEST_LABEL = 120
_LONGEST_DURATION = timedelta(days=36_500)


class ConditionError(Exception):
    """The condition could not be evaluated; the message says why, in words."""


class ConditionFaults(Exception):  # noqa: N818  it carries the faults, it is not one
    """The text is not a condition that can be used; `faults` says where and why."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults[0].message)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class View:
    """A question as the engine reads it, and how many values are in the largest of its lists and maps."""

    context: Any
    values: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked CEL expression; `label` is its text on one line, short and safe to show. Equal when the text is.

    `sight` is what it looks at, so that nobody shows it more.
    """

    text: str
    label: str = field(repr=False, compare=False)
    sight: Sight = field(repr=False, compare=False)
    _steps: Steps = field(repr=False, compare=False)
    _program: Any = field(repr=False, compare=False)

    def holds(self, view: View) -> bool:
        """Whether the condition is true in `view` (of `view_of`, with `sight` or more).

        Raises:
            ConditionError: it could not be evaluated, would take too long, or gave something other than true or false.
        """
        if steps_for(self._steps, view.values) > MOST_STEPS:
            raise ConditionError(f"going through {view.values} values takes too long")
        result = _guarded(self._program.execute, view.context)
        if type(result) is not bool:
            raise ConditionError(f"the condition gave {type(result).__name__}, not true or false")
        return result


def compile_condition(text: str) -> Condition:
    """Check and compile `text`; `ConditionFaults` with everything that is wrong."""
    if len(text) > LONGEST:
        raise ConditionFaults((Fault(at=0, message=f"the condition is longer than {LONGEST} characters"),))
    control = next((at for at, char in enumerate(text) if ord(char) < _FIRST_CONTROL and char not in "\n\t"), None)
    if control is not None:
        raise ConditionFaults((Fault(at=control, message="the condition contains a control character"),))
    try:
        check_size(text)
        program = _compiled(text)
        tree = read(text)
        faults = check(tree) or tuple(_bad_constants(tree))
    except ReadError as error:
        faults = (Fault(at=error.at, message=error.message),)
    except RecursionError:  # pragma: no cover  the bounds on length and depth come first
        faults = (Fault(at=0, message="the condition is nested too deeply"),)
    if faults:
        raise ConditionFaults(faults)
    label = shown(" ".join(text.split()), longest=_LONGEST_LABEL)
    return Condition(text, label, sight_of(tree), steps_of(tree), program)


def constant_of(source: str) -> object:
    """What the engine makes of `source`, an expression that looks at nothing; `ConditionError` if that fails."""
    import cel

    return _guarded(_guarded(cel.compile, source).execute, {})


def view_of(ask: Ask, sight: Sight = EVERYTHING) -> View:
    """What `sight` names of `ask`, as the engine reads it. Costs more than running a condition, so it is shared.

    Raises:
        ConditionError: the engine cannot hold a value of the context.
    """
    import cel

    variables = variables_of(ask, sight)
    attributes = [part for name, whole in variables.items() if name != "context" for part in whole.values()]
    values = max(map(_values_in, [*attributes, variables.get("context")]))
    return View(_guarded(cel.Context, variables), values)


def _values_in(whole: object) -> int:
    """How many values are in a list or map, and in what is in it."""
    count, found = 0, [whole]
    while found:
        one = found.pop()
        found += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        count += 1
    return count - 1


def variables_of(ask: Ask, sight: Sight = EVERYTHING) -> dict[str, Any]:
    """The variables of conditions for `ask`; the shape is `types.VARIABLES`, without what `sight` does not name."""
    return {variable: _variable(ask, variable, names) for variable, names in sight}


def _variable(ask: Ask, variable: str, names: Iterable[str]) -> dict[str, Any]:
    if variable == "context":
        return dict(ask.context)
    if variable == "request":
        return {name: _REQUEST[name](ask) for name in names}
    source = getattr(ask, _SOURCES.get(variable, variable))
    return {name: _native(getattr(source, name)) for name in names}


def _native(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


_SOURCES = {"principal": "beneficiary"}
_REQUEST: Mapping[str, Callable[[Ask], object]] = {
    "duration": lambda ask: ask.duration,
    "total_duration": lambda ask: ask.total_duration,
    "is_extension": lambda ask: ask.is_extension,
    "for_self": lambda ask: ask.for_self,
    "justification": lambda ask: ask.justification,
    "ticket": lambda ask: {
        "system": ask.ticket.system if ask.ticket else "",
        "number": ask.ticket.number if ask.ticket else "",
    },
    "at": lambda ask: ask.at,
    "starts_at": lambda ask: ask.begins_at,
}


def _compiled(text: str) -> Any:
    import cel

    try:
        return _guarded(cel.compile, text)
    except ConditionError as error:
        raise ConditionFaults(tuple(_engine_faults(text, str(error)))) from None


def _engine_faults(text: str, message: str) -> list[Fault]:
    found = _ENGINE_ERROR.findall(message)
    if not found:
        return [Fault(at=0, message="the condition is not an expression")]
    line, column, words = found[0]
    return [Fault(at=_offset(text, int(line), int(column)), message=_plain(words))]


def _offset(text: str, line: int, column: int) -> int:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return min(starts[min(line, len(starts)) - 1] + column - 1, len(text))


def _plain(words: str) -> str:
    if "Recursion limit" in words:
        return "the condition is nested too deeply"
    if words.startswith("Incomplete"):
        return "this is not an expression: something is missing"
    words = re.sub(r" expecting .*", "", words.removeprefix("Syntax error: "))
    words = words.replace("'<EOF>'", "the end of the condition")
    words = re.sub(r"^(mismatched|extraneous) input ", "unexpected ", words)
    return f"this is not an expression: {words}"


def _bad_constants(tree: Node) -> list[Fault]:
    """Patterns, durations and times that are written down are tried now rather than when somebody waits."""
    faults = []
    for call in calls(tree):
        if call.name not in {"matches", "duration", "timestamp"} or not isinstance(call.args[0], Literal):
            continue
        source = call.args[0].source
        probe = f'"".matches({source})' if call.name == "matches" else f"{call.name}({source})"
        try:
            value = _guarded(_compiled(probe).execute, {})
        except (ConditionError, ConditionFaults):
            faults.append(Fault(at=call.args[0].at, message=f"{source} is not a {_CONSTANT[call.name][0]}",
                                hint=_CONSTANT[call.name][1]))  # fmt: skip
            continue
        if isinstance(value, timedelta) and abs(value) > _LONGEST_DURATION:
            # The engine cuts it off at 292 years without a word.
            message = f"{source} is longer than {_LONGEST_DURATION.days} days"
            faults.append(Fault(at=call.args[0].at, message=message, hint="no access is that long"))
    return faults


_CONSTANT = {
    "matches": ("pattern", "use RE2 syntax, without look-around and back-references"),
    "duration": ("duration", 'write it as `duration("2h30m")`'),
    "timestamp": ("time", 'write it as `timestamp("2026-03-01T00:00:00Z")`'),
}


def _guarded(work: Any, argument: Mapping[str, object] | str) -> Any:
    """Run the engine; whatever it raises, panics of its own code included, becomes a `ConditionError`."""
    try:
        return work(argument)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except KeyError as error:
        raise ConditionError(f"there is no {error.args[0]!r} here") from None
    except BaseException as error:  # noqa: BLE001  a panic in the engine is no Exception, and must deny too
        raise ConditionError(_first_sentence(error)) from None


def _first_sentence(error: BaseException) -> str:
    text = str(error)
    if text.startswith("Arithmetic overflow"):
        return "a number, a time or a duration becomes too large"
    if text.startswith("Failed to parse"):
        return text
    unknown = _UNKNOWN.match(text)
    if unknown:  # names were checked before, so it is the method of another type
        return f"`{unknown[1]}` does not work on what it was given"
    return shown(text.partition(". ")[0], longest=200) or type(error).__name__
