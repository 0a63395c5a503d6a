"""Guards and gateway rules in catalog files: all that they can say, and everything that can be wrong with them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.domain.catalog import CatalogChange, Change, plan_catalog
from lapse.domain.data import from_data, to_data
from lapse.domain.guards import GatewayRules, Guard, Mask, MaskKind, RecordParameters, StatementClass
from lapse.domain.resources import Entitlement, Resource
from lapse.identity.catalog_files import CatalogErrors, catalog_from_files

WHOLE = r"""
groups: [{name: dba}]
resources:
  - name: pg-prod
    connector: postgresql
    gateway:
      only: true
      keep_for: 3650d
      sessions: 100
      sessions_per_principal: 5
      cut_after_store_loss: 2m
      single_use: true
      idle_timeout: 30m
      parameters: redact
      record_input: true
      warn_before: [5m, 30s]
    entitlements:
      - role: support
        guard:
          read_only: true
          statements: [read, transaction]
          require_where: true
          tables_allowed: ["shop.*"]
          tables_denied: ["*.secrets", "audit.log_????"]
          denied_patterns: ['(?i)pg_sleep']
          approval_statements: [update]
          approval_patterns: ['\bsalaries\b']
          approvers: ["group:dba"]
          approval_timeout: 10m
          masks:
            - {name: mail, kind: email}
            - {name: pay, columns: [iban, "salary*"], tables: ["shop.staff"]}
            - {name: keys, kind: custom, pattern: 'AKIA[A-Z0-9]+', replacement: key}
"""


def read(guard="{}", gateway="{}"):
    text = f"resources: [{{name: r, connector: p, gateway: {gateway}, entitlements: [{{role: x, guard: {guard}}}]}}]"
    return catalog_from_files({"c.yaml": text}).resources["r"]


def problems(guard="{}", gateway="{}"):
    text = f"resources:\n- name: r\n  connector: p\n  gateway: {gateway}\n"
    text += f"  entitlements:\n  - role: x\n    guard: {guard}\n"
    with pytest.raises(CatalogErrors) as caught:
        catalog_from_files({"c.yaml": text})
    return [str(problem) for problem in caught.value.problems]


def test_everything_that_can_be_said():
    resource = catalog_from_files({"c.yaml": WHOLE}).resources["pg-prod"]

    assert resource.gateway == GatewayRules(
        only=True,
        keep_for=timedelta(days=3650),
        sessions=100,
        sessions_per_principal=5,
        cut_after_store_loss=timedelta(minutes=2),
        single_use=True,
        idle_timeout=timedelta(minutes=30),
        parameters=RecordParameters.REDACT,
        record_input=True,
        warn_before=(timedelta(minutes=5), timedelta(seconds=30)),
    )
    assert resource.entitlements[0].guard == Guard(
        read_only=True,
        statements=(StatementClass.READ, StatementClass.TRANSACTION),
        require_where=True,
        tables_allowed=("shop.*",),
        tables_denied=("*.secrets", "audit.log_????"),
        denied_patterns=("(?i)pg_sleep",),
        approval_statements=(StatementClass.UPDATE,),
        approval_patterns=(r"\bsalaries\b",),
        approvers=("group:dba",),
        approval_timeout=timedelta(minutes=10),
        masks=(
            Mask(name="mail", kind=MaskKind.EMAIL),
            Mask(name="pay", columns=("iban", "salary*"), tables=("shop.staff",)),
            Mask(name="keys", kind=MaskKind.CUSTOM, pattern="AKIA[A-Z0-9]+", replacement="key"),
        ),
    )


def test_what_is_not_said_is_the_default():
    resource = read()

    assert resource.gateway == GatewayRules()
    assert resource.entitlements[0].guard.idle


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        ("{readonly: true}", "a guard has no `readonly` (did you mean `read_only`?)"),
        ("yes please", "a guard is written as `key: value` lines"),
        ("{read_only: 1}", "this is true or false"),
        ("{statements: [reed]}", "`reed` is not possible here (did you mean `read`?)"),
        ("{statements: []}", "`statements` allows nothing (name what is allowed, or leave the key out)"),
        ("{tables_allowed: []}", "`tables_allowed` allows nothing (name what is allowed, or leave the key out)"),
        ("{tables_denied: [secrets]}", "write it as `public.secrets`, or `*.secrets` for every schema"),
        ("{tables_denied: [.secrets]}", "`.secrets` is not a table of a schema"),
        ("{denied_patterns: ['(']}", "`(` is not a regular expression: missing )"),
        ("{denied_patterns: ['(?=x)']}", "`(?=x)` is not a regular expression: invalid perl operator"),
        ("{approvers: [nobody]}", "`approvers` names the principal `nobody`, which is not in the catalog"),
        ("{approvers: ['group:x']}", "`approvers` decide on nothing here"),
        ("{approval_timeout: 13h}", "`13h` is longer than 12h"),
        ("{masks: [{kind: full}]}", "this mask has no `name`"),
        ("{masks: [{name: m, kind: mail}]}", "`mail` is not possible here (did you mean `email`?)"),
        ("{masks: [{name: m}]}", "the mask `m` would mask everything (add `columns` or `tables`)"),
        ("{masks: [{name: m, columns: []}]}", "the mask `m` names no columns"),
        ("{masks: [{name: m, kind: custom}]}", "the mask `m` does not say what it replaces (add `pattern: …`)"),
        (
            "{masks: [{name: m, columns: [a], pattern: b}]}",
            "mean nothing to a mask of kind `full` (use `kind: custom`)",
        ),
        ("{masks: [{name: m, kind: custom, pattern: a, replacement: 'a\"'}]}", "cannot replace what is masked"),
        ("{masks: [{name: m, columns: [a]}, {name: m, columns: [b]}]}", "the mask `m` is here twice"),
        (f"{{tables_denied: [{', '.join(['a.b'] * 201)}]}}", "`tables_denied` has 201 elements, 200 at most"),
    ],
)
def test_what_is_wrong_with_a_guard_is_said_with_its_place(guard, said):
    found = problems(guard)

    assert any(said in problem and problem.startswith("c.yaml:7:") for problem in found), found


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("{onyl: true}", "a gateway has no `onyl` (did you mean `only`?)"),
        ("{sessions: 0}", "this is a whole number from 1 to 1000000"),
        ("{sessions: many}", "this is a whole number from 1 to 1000000"),
        ("{keep_for: 101y}", "`101y` is not a duration"),
        ("{keep_for: 36501d}", "`36501d` is longer than 36500 days"),
        ("{idle_timeout: 0s}", "`0s` is not longer than zero"),
        ("{parameters: drop}", "`drop` is not possible here"),
        ("{warn_before: 5m}", "`warn_before` is a list"),
    ],
)
def test_what_is_wrong_with_gateway_rules_is_said_with_its_place(gateway, said):
    found = problems(gateway=gateway)

    assert any(said in problem and problem.startswith("c.yaml:4:") for problem in found), found


def test_a_changed_guard_is_a_change_of_the_resource():
    before = catalog_from_files({"c.yaml": WHOLE})
    after = catalog_from_files({"c.yaml": WHOLE.replace("read_only: true", "read_only: false")})

    change = CatalogChange(change=Change.CHANGE, kind="resource", name="pg-prod", fields=("entitlements",))
    assert plan_catalog(before, after) == (change,)


def test_documents_from_before_there_were_guards_still_read():
    resource = Resource(name="r", connector="p", entitlements=(Entitlement(resource="r", role="x"),))
    data = to_data(resource)
    del data["gateway"], data["entitlements"][0]["guard"]

    assert from_data(Resource, data) == resource
