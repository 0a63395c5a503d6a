"""The examples and the documentation say what the program does."""

import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from lapse.domain.requests import Ticket
from lapse.policy import PolicyErrors, evaluate, lint, parse
from lapse.policy.cases import read_cases, run_cases
from lapse.policy.cases.language import ASK, CASE_FILE, EXPECT, SOME_GROUP, SOME_RESOURCE, SOMEONE
from lapse.policy.expressions.types import FUNCTIONS, MACROS, METHODS, VARIABLES
from lapse.policy.language import EFFECTS, LIMIT, OFFER
from lapse.policy.schema import policy_schema
from support.policy_world import CATALOG, HOUR, TUESDAY, ask

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/policy.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
FILES = {
    path.name: path.read_text()
    for path in sorted((ROOT / "examples/policy").glob("*.yaml"))
    if not path.name.endswith(".test.yaml")
}
EXAMPLE = parse(FILES)
REASON = "looking into a failed payment"
JIRA = Ticket(system="jira", number="PAY-7")


def validate(text):
    jsonschema.Draft202012Validator(policy_schema()).validate(YAML(typ="safe", pure=True).load(text))


@pytest.mark.parametrize("text", [*BLOCKS, *FILES.values()])
def test_every_example_is_a_policy_and_fits_the_schema(text):
    parse({"example.yaml": text})
    validate(text)


def test_the_guide_explains_every_key_variable_and_function():
    assert len(BLOCKS) >= 4
    for name in {*EFFECTS, *(key.name for key in (*OFFER.keys, *LIMIT.keys))}:
        assert f"`{name}`" in GUIDE, name
    for name, kind in VARIABLES.items():
        assert f"`{name}`" in GUIDE, name
        for attribute in kind.fields:
            assert f"`{attribute}`" in GUIDE or f"`{attribute}." in GUIDE, attribute
    for name in {*FUNCTIONS, *METHODS, *MACROS, "has"}:
        assert re.search(rf"`{name}[`(]", GUIDE), name


def test_the_errors_in_the_guide_are_those_of_the_program():
    shown = [line for line in GUIDE.splitlines() if line.startswith("policy.yaml:")]
    broken = """version: 1
# A policy with
# two mistakes
offers:
  - name: read
    to: anyone
    when: principal.departmnt == "it"
    entitlements: "*/reader"
    max_duration: 2 hours
    auto_approve: true
"""
    with pytest.raises(PolicyErrors) as caught:
        parse({"policy.yaml": broken})
    assert [str(problem) for problem in caught.value.problems] == shown


ANSWERS = [
    ("alice", "pg-dev/admin", 8, {}, "dev-anything", 0),
    ("alice", "pg-prod/reader", 1, {"justification": REASON}, "prod-read-office-hours", 0),
    ("alice", "pg-prod/reader", 1, {"justification": REASON, "at": TUESDAY + 9 * HOUR}, "prod-read", 1),
    ("alice", "pg-prod/reader", 3, {"justification": REASON}, "prod-read", 1),
    ("sam", "mysql-shop/reader", 1, {"justification": REASON}, "prod-read", 1),
    ("alice", "pg-prod/writer", 2, {"justification": REASON, "ticket": JIRA}, "prod-change", 2),
    ("dora", "pg-prod/admin", 1, {"justification": REASON, "ticket": JIRA}, "dba-admin", 3),
    ("alice", "pg-prod/reader", 0.5, {"justification": REASON, "beneficiary": "bot"}, "agents-read", 1),
]


@pytest.mark.parametrize(("who", "what", "hours", "facts", "chosen", "votes"), ANSWERS)
def test_the_example_company_allows(who, what, hours, facts, chosen, votes):
    evaluation = evaluate(EXAMPLE, ask(who, what, hours, **facts))
    assert evaluation.chosen == chosen, evaluation.reason
    assert sum(stage.quorum for stage in evaluation.terms.stages) == votes


REFUSALS = [
    ("alice", "pg-prod/reader", 5, {"justification": REASON}, "`prod-read` allows at most 4h (asked 5h)"),
    ("alice", "pg-prod/reader", 1, {}, "needs a justification of at least 15 characters (none given)"),
    ("alice", "pg-prod/writer", 1, {"justification": REASON}, "needs a ticket of `jira` (none given)"),
    ("carl", "pg-prod/reader", 1, {"justification": REASON}, "contractors have no access to production"),
    ("carl-admin", "pg-prod/admin", 1, {"justification": REASON, "ticket": JIRA}, "contractors have no access"),
    ("alice", "pg-dev/writer", 0.5, {"beneficiary": "bot"}, "agents may only read"),
    ("alice", "pg-people/reader", 2, {"justification": REASON, "at": TUESDAY + 8 * HOUR}, "personal-data-by-day"),
    ("alice", "pg-prod/admin", 1, {"justification": REASON, "ticket": JIRA}, "nothing is allowed unless an offer"),
    ("alice", "wiki/reader", 1, {}, "no offer is about `wiki/reader` for `alice`"),
    ("dora", "pg-prod/admin", 1,
     {"justification": REASON, "ticket": JIRA, "at": datetime(2026, 12, 24, 9, tzinfo=UTC)}, "production is frozen"),
]  # fmt: skip


@pytest.mark.parametrize(("who", "what", "hours", "facts", "reason"), REFUSALS)
def test_the_example_company_refuses(who, what, hours, facts, reason):
    evaluation = evaluate(EXAMPLE, ask(who, what, hours, **facts))
    assert not evaluation.allowed
    assert reason in evaluation.reason


def test_the_example_company_knows_everybody_its_policy_names():
    assert [str(warning) for warning in lint(EXAMPLE, CATALOG) if "the fact" not in warning.message] == []


CASES_GUIDE = (ROOT / "docs/policy-tests.md").read_text()


def test_the_page_on_test_cases_shows_cases_that_pass():
    (block,) = re.findall(r"```yaml\n(.*?)```", CASES_GUIDE, re.DOTALL)
    report = run_cases(parse({"p.yaml": BLOCKS[0]}), read_cases({"docs.test.yaml": block}), {})
    assert (len(report.cases), report.failed) == (2, ())


def test_the_page_on_test_cases_names_every_key():
    for record in (CASE_FILE, ASK, EXPECT, SOMEONE, SOME_GROUP, SOME_RESOURCE):
        for key in record.keys:
            assert f"`{key.name}" in CASES_GUIDE or f"`{key.name}`" in CASES_GUIDE or key.name == "version", key.name
