"""Manifests as they lie around: lists, documents, anchors, copies, and what cannot be read."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.kubernetes import cluster, documents
from lapse.review.sources.kubernetes.documents import Unreadable, documents_of
from support.aws_files import problems, write
from support.kubernetes_files import (
    RBAC,
    binding,
    held,
    listed,
    read,
    read_objects,
    read_yaml,
    role,
    rule,
    user,
)

# Files


def test_lists_of_lists_typed_lists_and_documents_after_one_another_are_read(tmp_path):
    typed = {"kind": "RoleList", "apiVersion": f"{RBAC}/v1", "items": [{"metadata": {"name": "t", "namespace": "n"}}]}
    write(
        tmp_path,
        in_S_a__json=listed({"kind": "List", "items": [role("deep")]}, typed),
        in_S_b__json=json.dumps(role("one")).encode() + b"\n" + json.dumps(role("two")).encode(),
        in_S_c__yaml__gz=b"kind: ClusterRole\nmetadata:\n  name: packed\n",
        in_S_d__json=json.dumps([role("in-a-list")]).encode(),
        in_S_notes__txt=b"not a manifest",
        in_S_e__yaml=(
            "\ufeff" + "# only a comment\n---\n%YAML 1.2\n---\nkind: Deployment\nmetadata: {name: x}\n...\n"
        ).encode(),
    )
    result = read(tmp_path / "in", tmp_path)
    assert {row["account"] for row in result.accounts} == {
        "clusterrole/deep",
        "role/n/t",
        "clusterrole/one",
        "clusterrole/two",
        "clusterrole/packed",
        "clusterrole/in-a-list",
    }
    assert result.report.skipped == {"an object that is no role, binding or service account": 1}
    assert problems(result) == {"files that are no manifests by their names were not read": 1}
    assert result.report.files == 5


def test_anchors_and_merges_are_followed(tmp_path):
    result = read_yaml(
        tmp_path,
        """
kind: Role
metadata: {name: r, namespace: n}
rules:
- &read {apiGroups: [""], resources: [pods], verbs: &v [get]}
- <<: *read
  resources: [secrets]
- *read
- {apiGroups: [apps], resources: [deployments], verbs: *v}
""",
    )
    assert [row["object"] for row in result.role_privileges] == ["apps/deployments", "core/pods", "core/secrets"]


def test_a_bomb_of_aliases_costs_neither_memory_nor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MOST_NODES", 100_000)
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    result = read_yaml(tmp_path, text + "---\n" + json.dumps(role("fine")))
    assert result.report.rejected == 1
    assert "it has more than 100000 values" in result.report.examples[0]
    assert [row["account"] for row in result.accounts] == ["clusterrole/fine"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Role\nkind: ClusterRole\nmetadata: {name: r}", "the key `kind` is there twice, in line 2"),
        ("a: *b", "the alias `b` stands for nothing that is complete"),
        ("a: &a [*a]", "the alias `a` stands for nothing that is complete"),
        ("a: [1, 2", "it is no YAML in line"),
        ("a: \x00", "it is no YAML"),
        ("? [a, b]\n: c", "a key is no text"),
        ("a: " + "[" * 200 + "]" * 200, "it is nested more than 100 deep"),
        ("- 1\n- 2", "it is no object"),
        ("just words", "it is no object"),
        ("<<: [1]", "`<<` merges something that is no map"),
        ("metadata: {name: x}", "it does not say what kind of object it is"),
        ("kind: [Role]", "it does not say what kind of object it is"),
        ("kind: Role", "Role ``: Object missing required field `metadata`"),
        ("kind: Role\nmetadata: {name: [x]}", "Expected `str`, got `array`"),
        ("kind: Role\nmetadata: {name: a/b}", "`a/b` is no name"),
        ("kind: Role\nmetadata: {name: }", "Expected `str`, got `null`"),
        ("kind: Role\nmetadata: {name: x}\nrules: [{verbs: get}]", "Expected `array | null`, got `str`"),
        ("kind: RoleBinding\nmetadata: {name: x}", "missing required field `roleRef`"),
    ],
)
def test_a_document_that_cannot_be_read_is_rejected_and_the_next_one_is_read(tmp_path, text, why):
    result = read_yaml(tmp_path, f"{text}\n---\n{json.dumps(role('fine'))}\n")
    assert any(why in example for example in result.report.examples), result.report.examples
    assert [row["account"] for row in result.accounts] == ["clusterrole/fine"]
    assert result.manifest.table("accounts").coverage is Coverage.PARTIAL
    assert not result.target_reads[0]["complete"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"kind": "Role", "kind": "Role"}', "the key `kind` is there twice"),
        (b'{"kind": "List", "items": [', "it is no JSON"),
        (b"[" * 100_000, "it is nested too deeply"),
        (listed(role("x"))[:-1], "it is no JSON"),
        (b'{"kind": "List", "items": [1, null, "x"]}', "it is no object"),
    ],
)
def test_json_that_cannot_be_read_is_rejected(tmp_path, content, why):
    write(tmp_path, all__json=content)
    result = read(tmp_path / "all.json", tmp_path)
    assert any(why in example for example in result.report.examples), result.report.examples


def test_a_packed_file_that_ends_early_gives_what_there_is(tmp_path):
    whole = ("---\n".join(json.dumps(role(f"r{n}", rule("get", f"x{n}"))) + "\n" for n in range(2000))).encode()
    text = b"# manifests\n" + whole.replace(b"{", b"{ ", 1)
    (tmp_path / "all.yaml.gz").write_bytes(gzip.compress(text)[:-3000])
    result = read(tmp_path / "all.yaml.gz", tmp_path)
    assert 0 < len(result.accounts) < 2000
    assert "the file cannot be read further" in " ".join(result.report.examples)


def test_copies_of_an_object_are_taken_together_so_that_none_hides_the_other(tmp_path):
    result = read_objects(
        tmp_path,
        role("r", rule("*", "*", "*")),
        role("r", rule("get", "pods")),
        binding("b", "ClusterRole/r", user("ann")),
        binding("b", "ClusterRole/r", user("bob")),
    )
    assert {row["account"]: row["powers"] for row in result.access_observed} == {
        "ann": "cluster-admin",
        "bob": "cluster-admin",
    }
    assert problems(result)["objects that are there more than once were taken together with their other copies"] == 2


def test_names_are_kept_as_they_are_and_shown_safely(tmp_path):
    names = ['=cmd()|"/c calc"!A1', "<script>alert(1)</script>", "a\u202eb", "zero\x00byte", "\ud800half"]
    result = read_objects(tmp_path, role("r"), binding("b", "ClusterRole/r", *map(user, names)))
    assert {row["account"] for row in result.access_observed} == {
        '=cmd()|"/c calc"!A1',
        "<script>alert(1)</script>",
        "a\u202eb",
        "zero\ufffdbyte",
        "?half",
    }


def test_texts_that_look_like_other_things_stay_texts(tmp_path):
    result = read_yaml(tmp_path, "kind: ClusterRole\nmetadata: {name: 123}\nrules: [{verbs: [on, 1e3, ~, '']}]\n")
    assert result.report.rejected == 1  # null is no verb
    result = read_yaml(
        tmp_path, "kind: Role\nmetadata: {name: 123}\nrules: [{verbs: [on], apiGroups: [''], resources: [1e3]}]\n"
    )
    assert [(row["role"], row["action"], row["object"]) for row in result.role_privileges] == [
        ("role/default/123", "on", "core/1e3")
    ]
    assert problems(result) == {"objects that do not say their namespace were taken to be in `default`": 1}


def test_more_than_can_be_held_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MOST_PARTS", 20)
    result = read_objects(tmp_path, *(role(f"r{n}", rule("a b", "c d")) for n in range(10)))
    assert (result.report.used, result.report.rejected) == (3, 7)
    assert "more than can be held" in result.report.examples[0]


def test_bindings_that_can_give_nothing_are_reported(tmp_path):
    strange = binding("s", "ClusterRole/r", {"kind": "Robot", "name": "x"})
    result = read_objects(tmp_path, role("r"), binding("b", "Role/r", user("ann")), strange)
    assert held(result) == []
    assert problems(result) == {
        "bindings that can give nothing": 1,
        "subjects of bindings that are of no known kind": 1,
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": ""}, "do not say of which cluster"),
        ({"cluster": "No Name"}, "is not a resource name"),
        ({"taken_at": "yesterday"}, "is not a time"),
        ({"other": "1"}, "has no option `other`"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(InvalidInput, match=words):
        read_objects(tmp_path, role("r"), **options)


def test_a_folder_without_manifests_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"has no `.yaml` or `.json` file"):
        read(tmp_path / "empty", tmp_path)


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
objects = st.fixed_dictionaries(
    {"kind": st.sampled_from(["Role", "ClusterRole", "RoleBinding", "ServiceAccount", "Secret", "List", "Pod"])},
    optional={
        "metadata": st.fixed_dictionaries({"name": texts}, optional={"namespace": texts, "labels": values}) | values,
        "rules": st.lists(st.fixed_dictionaries({"verbs": st.lists(texts), "resources": st.lists(texts)})) | values,
        "roleRef": st.fixed_dictionaries({"kind": st.sampled_from(["Role", "ClusterRole"]), "name": texts}) | values,
        "subjects": st.lists(st.fixed_dictionaries({"kind": texts, "name": texts})) | values,
        "aggregationRule": values,
        "items": st.lists(values, max_size=3),
    },
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(st.lists(objects | values, max_size=6))
def test_any_objects_are_read_or_rejected_and_none_is_lost(tmp_path, things):
    (tmp_path / "all.json").write_text(json.dumps(things), "utf-8")
    result = read(tmp_path / "all.json", tmp_path)
    assert result.report.records == result.report.used + result.report.rejected + sum(result.report.skipped.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="-&*a:{}[]\n <|>'\"%#?!", max_size=60).map(str.encode))
def test_any_bytes_are_documents_or_said_to_be_none(data):
    for place, value in documents_of(data, "file"):
        assert place.startswith("file")
        assert isinstance(value, Unreadable) or value is None or isinstance(value, (dict, list, str, int, float, bool))
