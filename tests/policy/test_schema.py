import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

import lapse.policy.schema as schema_module
from lapse.policy import PolicyErrors, parse
from lapse.policy.schema import cases_schema, policy_schema, schema_text
from support.policy_world import limit, offer

ROOT = Path(__file__).parents[2]
REGENERATE = "run `python -m lapse.policy.schema > docs/policy.schema.json` and copy it to src/lapse/policy/schema.json"
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())


def data(text):
    return YAML(typ="safe", pure=True).load(text)


def test_the_schema_is_one_of_its_draft():
    jsonschema.Draft202012Validator.check_schema(policy_schema())


def test_the_committed_copies_are_the_generated_schema():
    assert (ROOT / "docs/policy.schema.json").read_text() == schema_text(), REGENERATE
    assert files(schema_module.__package__).joinpath("schema.json").read_text() == schema_text(), REGENERATE


def test_the_schema_of_test_cases_is_kept_beside():
    jsonschema.Draft202012Validator.check_schema(cases_schema())
    hint = "run `python -m lapse.policy.schema cases > docs/policy-cases.schema.json` and copy it to src/lapse/policy"
    assert (ROOT / "docs/policy-cases.schema.json").read_text() == schema_text("cases"), hint
    assert files(schema_module.__package__).joinpath("cases.schema.json").read_text() == schema_text("cases"), hint


def test_the_module_prints_it():
    printed = subprocess.run([sys.executable, "-m", "lapse.policy.schema"], capture_output=True, text=True, check=True)
    assert printed.stdout == schema_text()


def test_every_key_says_what_it_means():
    definitions = json.loads(schema_text())["$defs"]
    for rule in definitions.values():
        for key, described in rule["properties"].items():
            assert described["description"].endswith("."), key


BAD = [
    "version: 2\n" + offer(),
    "version: 1\n",
    "version: 1\noffers: []\n",
    "version: 1\nextra: 1\n" + offer(),
    "version: 1\n" + offer().replace("name: read", "name: READ"),
    "version: 1\n" + offer().replace("2h", "2 hours"),
    "version: 1\n" + offer().replace("2h", "8"),
    "version: 1\n" + offer().replace("    approvals: [{from: [owner]}]\n", ""),
    "version: 1\n" + offer() + "    auto_approve: true\n",
    "version: 1\n" + offer(approved_by="").replace("true", "false"),
    "version: 1\n" + offer(approved_by="anyone"),
    "version: 1\n" + offer().replace('    entitlements: "pg-*/*"\n', ""),
    "version: 1\n" + offer().replace("pg-*/*", "pg"),
    "version: 1\n" + offer().replace("    to: group:developers\n", ""),
    "version: 1\n" + offer().replace("from:", "quorum: 11, from:"),
    "version: 1\n" + offer("ticket: needed"),
    "version: 1\n" + offer("justification: {min_length: 0}"),
    "version: 1\n" + offer("windows: [{from: '22:00', to: '06:00'}]"),
    "version: 1\n" + offer("windows: [{from: '9:00', to: '06:00', timezone: UTC}]"),
    "version: 1\n" + offer("windows: [{days: monday, from: '09:00', to: '16:00', timezone: UTC}]"),
    "version: 1\n" + limit("entitlements: '*/*'"),
    "version: 1\n" + limit("forbid: true"),
    "version: 1\n" + limit("reason: why\nmax_duration: 1h"),
    "version: 1\n" + limit("pending_timeout: 1h\nmax_duration: 1h"),
]


@pytest.mark.parametrize("text", BAD)
def test_an_editor_marks_what_the_parser_refuses(text):
    assert not VALIDATOR.is_valid(data(text))
    with pytest.raises(PolicyErrors):
        parse({"p.yaml": text})


GOOD = [
    offer(),
    offer(approved_by=""),
    offer("auto_approve: false"),
    offer("when: true"),
    offer("asked_by: lea\njustification: required\nticket: {systems: jira}\npending_timeout: PT1H\nmax_total: 1d 2h"),
    offer("windows: [{days: mon-fri, from: '22:00', to: '24:00', timezone: Europe/Berlin}]"),
    offer("windows: [{days: [mon, wed-fri], from: '22:00', to: '06:00', timezone: UTC}]"),
    limit("max_duration: P1DT2H"),
    limit("forbid: true\nreason: because"),
    limit("when: 'request.for_self'\napprovals: [{name: two, quorum: 2, from: [owner, manager, 'group:x', bob]}]"),
    offer() + limit("to: [group:x, bob]\nticket: required"),
]


@pytest.mark.parametrize("text", GOOD)
def test_an_editor_accepts_what_the_parser_accepts(text):
    parse({"p.yaml": "version: 1\n" + text})
    assert list(VALIDATOR.iter_errors(data("version: 1\n" + text))) == []
