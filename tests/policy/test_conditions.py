from dataclasses import replace
from datetime import timedelta

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.requests import Ticket
from lapse.policy.expressions import condition as module
from lapse.policy.expressions.condition import (
    ConditionError,
    ConditionFaults,
    compile_condition,
    variables_of,
    view_of,
)
from lapse.policy.expressions.reader import MOST_TOKENS, ReadError, read
from lapse.policy.expressions.types import FUNCTIONS, METHODS, VARIABLES
from support.policy_world import ask


def holds(text, **facts):
    return compile_condition(text).holds(view_of(ask(**facts)))


def faults(text):
    with pytest.raises(ConditionFaults) as caught:
        compile_condition(text)
    return caught.value.faults


TRUE = [
    'principal.name == "alice" && principal.department == "payments"',
    '"developers" in principal.groups',
    'principal.groups.exists(g, g.startsWith("dev"))',
    'principal.groups.all(g, g != "contractors") && !("x" in principal.groups)',
    'principal.groups.exists_one(g, g == "developers")',
    'principal.groups.map(g, g + "!").exists(g, g == "developers!")',
    "principal.groups.map(g, g.size() > 3, g).size() == 1",
    'size(principal.groups.filter(g, g == "developers")) == 1',
    'principal.kind in ["person", "service"]',
    'principal["name"] == "alice"',
    'resource.tags["env"] == "prod" && resource.tags.env == "prod"',
    '"env" in resource.tags && has(resource.tags.env) && !has(resource.tags.other)',
    'resource.tags.exists(key, key == "env")',
    'request.duration <= duration("2h") && request.duration + duration("1h") == duration("2h")',
    'request.at < timestamp("2027-01-01T00:00:00Z") && request.at.getHours() == 10',
    'request.starts_at - request.at == duration("0s")',
    'request.at - duration("1h") < request.at && request.at - request.starts_at < duration("1s")',
    'request.at + duration("1h") > request.at && duration("3h") - duration("1h") > duration("1h")',
    'request.ticket.system == "" && request.justification == ""',
    "request.for_self && !request.is_extension",
    'principal.email.endsWith("@example.com") && principal.email.matches("^[a-z]+@")',
    'principal.email.contains("@") ? true : false',
    r"""principal.email.matches(r'^\w{1,9}@') && principal.email.matches('\\w@')""",
    'int("3") + 2 == 5 && double("1.5") * 2.0 == 3.0 && string(1) == "1" && -1 < 0 && 7 % 4 == 3 && 0x10 == 16',
    "1u < 2u && 1.5e0 > .5 && -1.5 < 0.0",
    '[1, 2, 3].size() == 3 && {"a": 1, "b": 2}.a == 1 && [1] + [2] == [1, 2] && [[1]][0][0] == 1',
    'r"\\d" == "\\\\d" && """a""" == \'a\' // a remark',
    "principal.name != requester.name || principal == beneficiary",
    "true",
    "!!true",
]


@pytest.mark.parametrize("text", TRUE)
def test_conditions_see_the_question(text):
    assert holds(text) is True


@pytest.mark.parametrize("text", TRUE)
def test_what_a_condition_looks_at_is_all_that_it_needs(text):
    condition = compile_condition(text)
    assert condition.holds(view_of(ask(), condition.sight)) is True


def test_a_condition_looks_at_attributes_and_at_whole_variables():
    text = 'principal["title"] == "x" || resource.tags["a"] == "b" || context.x == 1 || requester == beneficiary'
    sight = dict(compile_condition(text).sight)
    assert sight["principal"] == ("title",)
    assert sight["resource"] == ("tags",)
    assert sight["context"] == ()
    assert sight["requester"] == sight["beneficiary"] == tuple(sorted(VARIABLES["requester"].fields))
    assert set(sight) == {"principal", "resource", "context", "requester", "beneficiary"}
    assert compile_condition("[1].exists(n, n == 1)").sight == ()


def test_principal_is_the_beneficiary():
    assert holds('principal.name == "bot" && requester.name == "alice" && !request.for_self', beneficiary="bot")
    assert holds('principal.sponsor == "alice" && "alice" in principal.humans', beneficiary="bot")


def test_the_ticket_and_context_are_seen():
    assert holds("'x' in context.flags && {'a': 1,}['a'] == 1 && [1,] == [1] && {} == {}", context={"flags": ["x"]})
    assert holds('request.ticket.system == "jira"', ticket=Ticket(system="jira", number="A-1"))
    assert holds("context.risk > 5 && context.flags[0] == 'x'", context={"risk": 6, "flags": ["x"]})
    assert holds(
        "context.at.zone == context['at']['zone'] && !(context.risk < 1)", context={"at": {"zone": 1}, "risk": 1}
    )


WRONG = [
    ("principal.name.matches(request.justification)", 31, "a pattern must be written out", "matches("),
    ("principal.name.matches('\\\\x{100}{100}')", 23, "repeats too much", "startsWith"),
    ("principal.name.matches('a\\x7b100}')", 23, "must be a raw text", "matches(r"),
    ("principal.name.matches(r'\\w{10,1000}')", 23, "repeats too much", "startsWith"),
    ("[1].all(a, [1].all(b, principal.name.matches('x')))", 37, "not used in nested", "startsWith"),
    ("principal.groups.exists(g)", 17, "`exists` takes a name and a condition", "exists(g"),
    ("requester.nmae == 'x'", 10, "no attribute `nmae`", "did you mean `name`?"),
    ("principal['nmae'] == 'x'", 10, "no attribute `nmae`", "did you mean `name`?"),
    ("requestor.name == 'x'", 0, "no variable `requestor`", "did you mean `requester`?"),
    ("principal.kind == 'contractor'", 18, "'contractor' is never the value", "`agent`, `person`, `service`"),
    ("'robot' != principal.kind", 0, "'robot' is never the value", "`person`"),
    ("principal.kind in ['person', 'agnet']", 29, "'agnet' is never the value", "did you mean `agent`?"),
    ("request.duration == '2h'", 17, "a duration is never equal to text", 'duration("2h")'),
    ("request.duration > '2h'", 17, "a duration cannot be ordered against text", 'duration("2h")'),
    ("request.at > '2026'", 11, "a time cannot be ordered against text", "timestamp("),
    ("principal.groups == 'dba'", 17, "a list of text is never equal to text", "in principal.groups"),
    ("1 in principal.groups", 2, "a whole number is never in a list of text", ""),
    ("1 in resource.tags", 2, "a whole number is never in a map", ""),
    ("'x' in principal.name", 4, "`in` needs a list or a map after it, not text", ""),
    ("null == principal.name", 5, "null is never equal to text", ""),
    ("[1] == ['a']", 4, "never equal", ""),
    ("principal.name", 10, "the condition gives text, not true or false", ""),
    ("1 + 1", 2, "the condition gives a whole number", ""),
    ("principal.name.first == 'x'", 15, "text has no attribute `first`", ""),
    ("principal.name[0] == 'x'", 14, "text has nothing to pick with [ ]", ""),
    ("principal[request.justification] == 'x'", 9, "has nothing to pick", ""),
    ("principal.groups['a'] == 'x'", 17, "is picked from with a whole number, not text", ""),
    ("principal.name && true", 10, "`&&` joins conditions, and this is text", ""),
    ("true || 1", 8, "`||` joins conditions", ""),
    ("!principal.name", 0, "`!` cannot be put before text", ""),
    ("-principal.name == 'x'", 0, "`-` cannot be put before text", ""),
    ("principal.name ? true : false", 15, "`?` needs true or false", ""),
    ("principal.name + 1 == 'x'", 15, "`+` does not work on text and a whole number", ""),
    ("request.duration * 2 > duration('1h')", 17, "`*` does not work", ""),
    ("1 < 2.0 + 1", 8, "`+` does not work", ""),
    ("true < false", 5, "cannot be ordered", ""),
    ("principal.name.startWith('x')", 15, "no method `startWith`", "did you mean `startsWith`?"),
    ("principal.name.startsWith(1)", 15, "`startsWith` takes text, not a whole number", ""),
    ("principal.name.startsWith()", 15, "takes text, not nothing", ""),
    ("principal.groups.startsWith('x')", 17, "a list of text has no method `startsWith`", ""),
    ("request.at.getDayOfWeek('Europe/Berlin') == 1", 11, "takes nothing, not text", ""),
    ("sizes(principal.groups) > 1", 0, "no function `sizes`", "did you mean `size`?"),
    ("size(principal.groups, 1) > 1", 0, "`size` does not take a list of text and a whole number", ""),
    ("size(true) > 1", 0, "`size` does not take true or false", ""),
    ("duration('soon') > request.duration", 9, "'soon' is not a duration", "2h30m"),
    ("timestamp('today') > request.at", 10, "'today' is not a time", "2026"),
    ("principal.name.matches('(')", 23, "'(' is not a pattern", "RE2"),
    ("principal.name.matches('(x{1000}){1000}')", 23, "repeats too much", ""),
    ("principal.name.matches('x{0,1000}')", 23, "repeats too much", ""),
    ("principal.name.matches('x{}')", 23, "is not a pattern", ""),
    ("principal.name.matches('x{,1000}')", 23, "repeats too much", ""),
    ("principal.groups.exists(g, g)", 17, "`exists` needs a condition", ""),
    ("principal.groups.exists(g, g.x == 'a')", 29, "text has no attribute `x`", ""),
    ("principal.groups.exists('g', true)", None, "this is not an expression", ""),
    ("principal.name.exists(g, true)", 15, "goes through lists and maps, not text", ""),
    ("principal.groups.exists(request, true)", 24, "`request` is the name of something else", ""),
    ("[1].all(a, [1].all(b, [1].all(c, true)))", 26, "nested more than 2 deep", ""),
    ("has(principal.nmae)", 14, "no attribute `nmae`", ""),
    ("has(principal)", None, "this is not an expression", ""),
    ("has()", 0, "`has` takes one attribute", "has(resource.tags.env)"),
    ("principal.name = 'x'", 15, "this is not an expression", ""),
    ("principal.name == 'x' and true", 22, "unexpected 'and'", ""),
    ("principal.name ==", 17, "the end of the condition", ""),
    ("\n\n  principal.name ==", 21, "the end of the condition", ""),
    ("", 0, "the end of the condition", ""),
    ("Thing{a: 1} == 1", 0, "messages cannot be built", ""),
    (".principal.name == 'x'", 0, "`.` is not expected here", ""),
    ("b'a' == b'a'", 1, "is not expected here", ""),
    ("[?1] == []", None, "", ""),
    ("true\x00", 4, "control character", ""),
    ("x" * 2_001, 0, "longer than 2000 characters", ""),
    ("1" + " + 1" * MOST_TOKENS + " == 1", None, f"more than {MOST_TOKENS} words and signs", ""),
    ("(" * 300 + "true" + ")" * 300, 40, "the condition is nested more than 40 deep", ""),
    ("(" * 999, 40, "the condition is nested more than 40 deep", ""),
    ("[" * 999 + "]" * 999, 40, "the condition is nested more than 40 deep", ""),
    ("size(" * 330 + "1" + ")" * 330 + " > 0", 204, "the condition is nested more than 40 deep", ""),
    ("!(" * 190, 81, "the condition is nested more than 40 deep", ""),
    ("true ? true : " * 99 + "true", None, "the condition is nested too deeply", ""),
    ("true?", 0, "this is not an expression: something is missing", ""),
    ("principal.name.matches(r'(?x) a { 9 0 0 0 }')", 23, "written without the flag `x`", "leave the flag out"),
    ("principal.name.matches(r'(?ix)a')", 23, "written without the flag `x`", ""),
    ("request.duration < duration('9999999999999h')", 28, "is longer than 36500 days", "no access is that long"),
    ("request.duration > duration('-99999999h')", 28, "is longer than 36500 days", ""),
    ("'\ud800' == ''", None, "", ""),
    ("9223372036854775808 == 1", 0, "invalid int literal", ""),
]


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"), WRONG, ids=[w[0][:40].encode("unicode_escape").decode() for w in WRONG]
)
def test_what_can_never_be_right_is_found_before_anybody_asks(text, at, message, hint):
    fault = faults(text)[0]
    assert message in fault.message
    assert hint in fault.hint
    assert at is None or fault.at == at


def test_every_fault_is_told():
    assert [f.at for f in faults("principl.name == 'x' && resource.tgs.a == request.justificatio")] == [0, 33, 50]


def test_a_missing_key_fails_with_its_name():
    with pytest.raises(ConditionError, match="there is no 'env' here"):
        holds('resource.tags.env == "prod"', what="wiki/reader")


@pytest.mark.parametrize(
    "text", ["1 / int(request.justification) == 1", "context.x == 1", "context.n + 1 == 2", "int('x') == 1"]
)
def test_whatever_goes_wrong_is_a_condition_error(text):
    with pytest.raises(ConditionError):
        holds(text, justification="0", context={"n": "text"})


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807 + 1 > 0",
        "request.justification.size() * 9223372036854775807 > 0",
        'timestamp("9999-12-31T23:59:59Z") + request.duration > request.at',
    ],
)
def test_what_becomes_too_large_fails_instead_of_turning_round(text):
    with pytest.raises(ConditionError, match="a number, a time or a duration becomes too large"):
        holds(text, justification="because")


@pytest.mark.parametrize("text", ["((" * 20 + "true" + "))" * 20, "[[[1]]].size() == 1", '"((((" + "[[[[" != "{{{{"'])
def test_brackets_within_bounds_and_brackets_in_texts_are_fine(text):
    assert holds(text) is True


def test_a_method_of_another_type_says_so():
    with pytest.raises(ConditionError, match="`startsWith` does not work on what it was given"):
        holds("principal.name.startsWith(context.n)", context={"n": 1})


@pytest.mark.parametrize(
    ("text", "at"),
    [("a b", 2), ("a.", 2), ("a.1", 1), ("(a", 2), ("[a b]", 3), ("{a: 1 b}", 6), ("{a 1}", 3), ("a ? b", 5)],
)
def test_the_reader_stands_on_its_own(text, at):
    with pytest.raises(ReadError) as caught:
        read(text)
    assert caught.value.at == at


def test_what_is_not_true_or_false_is_an_error():
    with pytest.raises(ConditionError, match="gave str, not true or false"):
        holds("context.x", context={"x": "true"})


def test_a_value_the_engine_cannot_hold_is_an_error():
    with pytest.raises(ConditionError):
        view_of(replace(ask(), context={"thing": object()}))


def test_a_panic_of_the_engine_is_an_error_and_an_interrupt_is_not():
    class Panic(BaseException):
        pass

    def panics(_):
        raise Panic

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(ConditionError, match="Panic"):
        module._guarded(panics, {})
    with pytest.raises(KeyboardInterrupt):
        module._guarded(interrupted, {})


def test_an_engine_error_without_a_place_is_still_a_fault():
    assert module._engine_faults("x", "something else")[0].message == "the condition is not an expression"


def test_what_the_engine_is_given_is_what_the_table_says():
    def shape(value):
        return {k: shape(v) for k, v in value.items()} if isinstance(value, dict) else type(value).__name__

    def expected(kind):
        if kind.name == "object":
            return {name: expected(inner) for name, inner in kind.fields.items()}
        python = {"string": "str", "bool": "bool", "list": "list", "duration": "timedelta", "timestamp": "datetime"}
        return python.get(kind.name, {})

    given_values = shape(variables_of(ask(what="wiki/reader", ticket=Ticket(system="a", number="1"))))
    assert given_values == {name: expected(kind) for name, kind in VARIABLES.items()}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_of_the_table_is_one_of_the_engine(name):
    receivers, args, result = METHODS[name]
    samples = {"string": "request.justification", "list": "principal.groups", "map": "resource.tags",
               "timestamp": "request.at", "duration": "request.duration"}  # fmt: skip
    for receiver in receivers:
        call = f"{samples[receiver]}.{name}({', '.join(['request.justification'] * len(args))})"
        value = cel.compile(call).execute(view_of(ask()).context)
        assert type(value).__name__ == result.name


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_the_table_is_one_of_the_engine(name):
    accepted, _ = FUNCTIONS[name]
    samples = {"string": {"duration": "'1h'", "timestamp": "'2026-01-01T00:00:00Z'"}.get(name, "'1'"), "list": "[1]",
               "map": "{}", "int": "1", "uint": "1u", "double": "1.0", "timestamp": "request.at",
               "duration": "request.duration"}  # fmt: skip
    for kind in accepted:
        cel.compile(f"{name}({samples[kind]})").execute(view_of(ask()).context)


def test_conditions_are_equal_when_their_text_is():
    assert compile_condition("true") == compile_condition("true")
    assert compile_condition("true") != compile_condition("!true")
    assert compile_condition("true &&\n   true").label == "true && true"


ATOMS = st.sampled_from(
    [
        "principal.name",
        "'x'",
        "1",
        "2.5",
        "true",
        "principal.groups",
        "resource.tags",
        "request.duration",
        "request.at",
        "duration('1h')",
        "context.a",
        "null",
        "[]",
        "[1, 2]",
        "{'a': 1}",
        "request.ticket.system",
        "principal",
        "nobody.x",
    ]
)
OPERATORS = st.sampled_from(["||", "&&", "==", "!=", "<", ">=", "in", "+", "-", "*", "/", "%"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["||", "&&", "==", "!=", "<", ">=", "in", "+", "-", "*", "/", "%"]),
            inner,
        )
        | st.builds("{}({})".format, st.sampled_from(["size", "!", "-", "string", "has", "int"]), inner)
        | st.builds("{}.exists(v, v == {})".format, inner, inner)
        | st.builds("{} ? {} : {}".format, inner, inner, inner)
        | st.builds("{}[{}]".format, inner, inner)
        | st.builds("{}.startsWith({})".format, inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(EXPRESSIONS)
def test_the_reader_and_the_engine_agree_on_what_is_an_expression(text):
    try:
        cel.compile(text)
    except ValueError:
        return
    read(text)


@settings(max_examples=200)
@given(EXPRESSIONS)
def test_what_passes_the_check_never_meets_an_unknown_name_or_gives_no_truth(text):
    try:
        condition = compile_condition(text)
    except ConditionFaults:
        return
    outcome = outcome_of(condition, view_of(ask(context={"a": 1})))
    assert outcome in {True, False} or "Undefined" not in outcome
    assert outcome_of(condition, view_of(ask(context={"a": 1}), condition.sight)) == outcome


def outcome_of(condition, view):
    try:
        return condition.holds(view)
    except ConditionError as error:
        return str(error)


@settings(max_examples=200)
@given(st.text(max_size=40) | st.text(alphabet="ab.()[]{}'\"&|!<>=?:,+-*/% 019inrx\\\n", max_size=30))
def test_any_text_is_a_condition_or_has_faults(text):
    try:
        compile_condition(text)
    except ConditionFaults as error:
        assert all(0 <= f.at <= len(text) and f.message for f in error.faults)  # noqa: PT017
    try:
        read(text)
    except ReadError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017


def test_durations_are_compared_to_the_second():
    assert holds("request.duration == duration('3601s')", duration=timedelta(seconds=3600.5))
