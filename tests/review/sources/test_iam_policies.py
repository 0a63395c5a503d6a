"""The policy language of AWS: what a document allows, and what it surely does not."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.sources.iam_policies import effect_of, privileges, read_document
from lapse.review.sources.iam_wildcards import covers, matches, overlaps

ANY = "arn:aws:iam::111122223333:user/ann"


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action, resource="*", **more):
    return allow(action, resource, **more) | {"Effect": "Deny"}


def policy(*statements):
    return read_document({"Version": "2012-10-17", "Statement": list(statements)})


def effect(*statements, name="ann", bounds=None):
    limits = None if bounds is None else policy(*bounds).statements
    return effect_of(policy(*statements).statements, {"aws:username": name}, limits)


def rights(*statements, most=1000):
    return [(p.action, p.resource, p.wildcard) for p in privileges(policy(*statements).statements, most)]


# Texts with wildcards


@pytest.mark.parametrize(
    ("pattern", "text", "yes"),
    [
        ("*", "", True),
        ("s3:Get*", "s3:GetObject", True),
        ("s3:Get*", "s3:PutObject", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("arn:aws:s3:::logs/*/x", "arn:aws:s3:::logs/1/2/x", True),
        ("ab*ba", "aba", False),
    ],
)
def test_a_pattern_stands_for_these_texts(pattern, text, yes):
    assert matches(pattern, text) is yes


@pytest.mark.parametrize(
    ("outer", "inner", "yes"),
    [
        ("s3:*", "s3:Get*", True),
        ("s3:Get*", "s3:*", False),
        ("*?", "?*", True),
        ("a?", "a*", False),
        ("a*", "ab", True),
        ("a?c", "a?c", True),
    ],
)
def test_a_pattern_covers_another_if_it_stands_for_all_that_the_other_does(outer, inner, yes):
    assert covers(outer, inner) is yes


def test_patterns_overlap_if_they_have_a_text_in_common():
    assert overlaps("s3:Get*", "s3:*Object")
    assert overlaps("a*c", "ab*")
    assert not overlaps("s3:Get*", "s3:Put*")
    assert not overlaps("*Object", "*Bucket")
    assert overlaps("??", "*")
    assert not overlaps("?", "??")


texts = st.text(alphabet="ab", max_size=6)
patterns = st.text(alphabet="ab*?", max_size=6)


def all_texts(longest=6):
    found = [""]
    for _ in range(longest):
        found += [text + letter for text in found for letter in "ab" if len(text + letter) <= longest]
    return set(found)


TEXTS = all_texts()


@given(patterns, texts)
def test_matching_is_what_the_words_say(pattern, text):
    def naive(p, t):
        if not p:
            return not t
        if p[0] == "*":
            return naive(p[1:], t) or (bool(t) and naive(p, t[1:]))
        return bool(t) and (p[0] in {"?", t[0]}) and naive(p[1:], t[1:])

    assert matches(pattern, text) is naive(pattern, text)


@given(patterns, patterns)
def test_covering_is_never_wrongly_said(outer, inner):
    if covers(outer, inner):
        assert all(matches(outer, text) for text in TEXTS if matches(inner, text))


@given(patterns)
def test_every_pattern_covers_itself_and_is_covered_by_the_star(pattern):
    assert covers(pattern, pattern)
    assert covers("*", pattern)


@given(patterns, patterns)
def test_overlapping_is_having_a_text_in_common(one, other):
    common = any(matches(one, text) and matches(other, text) for text in TEXTS)
    assert overlaps(one, other) is overlaps(other, one)
    if common:
        assert overlaps(one, other)
    elif len(one) + len(other) <= 6:  # a common text, if there is one, is no longer than both together
        assert not overlaps(one, other)


def test_hostile_patterns_take_no_time():
    pattern = "*a" * 1000
    assert not matches(pattern, "a" * 900 + "b")
    assert not matches("?" + pattern, "a" * 900 + "b")
    assert not covers(pattern + "b", "a*" * 900)


# Documents


def test_a_document_is_an_object_or_its_text_or_that_text_url_encoded():
    document = {"Version": "2012-10-17", "Statement": allow("s3:GetObject", "arn:aws:s3:::a b/*")}
    text = json.dumps(document)
    assert read_document(document) == read_document(text) == read_document(quote(text, safe=""))
    (statement,) = read_document(document).statements
    assert statement.actions.names == ("s3:getobject",)
    assert statement.resources.names == ("arn:aws:s3:::a b/*",)


@pytest.mark.parametrize("value", [None, 3, [], "", "%7Bno", "[" * 100_000, {}, {"Statement": None}, "<html>"])
def test_what_is_no_policy_is_refused(value):
    with pytest.raises(InvalidInput):
        read_document(value)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (None, "no JSON object"),
        ({"Effect": "allow", "Action": "*", "Resource": "*"}, "its effect is `allow`"),
        ({"Effect": "Allow", "Resource": "*"}, "exactly one of Action and NotAction"),
        ({"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}, "exactly one of Action"),
        ({"Effect": "Allow", "Action": [1], "Resource": "*"}, "neither a text nor a list of texts"),
        ({"Effect": "Allow", "Action": "*"}, "exactly one of Resource"),
        ({"Effect": "Allow", "Action": "*", "Resource": "x" * 3000}, "more than 2048 characters"),
        ({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": "yes"}}, "Condition is no object"),
        ({"Effect": "Allow", "Action": "*", "Principal": 3}, "Principal is neither"),
    ],
)
def test_a_statement_that_cannot_be_read_is_named_and_the_others_stay(statement, says):
    document = policy(statement, allow("s3:GetObject"))
    assert len(document.statements) == 1
    (fault,) = document.faults
    assert fault.startswith("statement 1: ")
    assert says in fault


def test_a_policy_of_too_many_names_is_refused():
    with pytest.raises(InvalidInput, match="more than 5000"):
        policy(allow([f"s3:A{n}" for n in range(5001)]))


# Decisions


def test_what_no_allow_names_is_not_allowed():
    mine = effect(allow("s3:Get*", "arn:aws:s3:::logs/*"))
    assert mine.may("s3:GETOBJECT", "arn:aws:s3:::logs/1") == ""
    assert mine.may("s3:GetObject", "arn:aws:s3:::LOGS/1") is None
    assert mine.may("s3:PutObject", "arn:aws:s3:::logs/1") is None


def test_deny_beats_allow():
    mine = effect(allow("s3:*"), deny("s3:Delete*"))
    assert mine.may("s3:DeleteObject", "arn:aws:s3:::logs/1") is None
    assert mine.may("s3:GetObject", "arn:aws:s3:::logs/1") == ""


def test_a_condition_of_an_allow_is_told_and_one_of_a_deny_does_not_take_away():
    mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    assert effect(allow("s3:*", Condition=mfa)).may("s3:x", "*") == "if Bool aws:MultiFactorAuthPresent"
    assert effect(allow("s3:*"), allow("s3:*", Condition=mfa)).may("s3:x", "*") == ""
    said = effect(allow("s3:*"), deny("s3:*", Condition=mfa)).may("s3:x", "*")
    assert said == "unless a Deny applies (Bool aws:MultiFactorAuthPresent)"


def test_what_is_left_out_by_not_action_and_not_resource_is_not_allowed():
    mine = effect({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "NotResource": "arn:aws:s3:::secret/*"})
    assert mine.may("iam:CreateUser", "*") is None
    assert mine.may("s3:GetObject", "arn:aws:s3:::open/1") == ""
    assert mine.may("s3:GetObject", "arn:aws:s3:::secret/1") is None


def test_the_holders_own_name_fills_a_variable_and_others_mean_anything_for_allow_and_nothing_for_deny():
    own = "arn:aws:iam::111122223333:user/${aws:username}"
    assert effect(allow("iam:*", own)).may("iam:CreateAccessKey", ANY) == ""
    assert effect(allow("iam:*", own), name="bob").may("iam:CreateAccessKey", ANY) is None
    tagged = "arn:aws:iam::111122223333:user/${aws:PrincipalTag/team}"
    assert effect(allow("iam:*", tagged)).may("iam:CreateAccessKey", ANY) == ""
    assert effect(allow("iam:*"), deny("iam:*", tagged)).may("iam:CreateAccessKey", ANY) == ""
    assert effect(allow("iam:*"), deny("iam:*", own)).may("iam:CreateAccessKey", ANY) is None


def test_a_permissions_boundary_gives_nothing_and_limits_all():
    assert effect(allow("iam:*"), bounds=[allow("s3:*")]).may("iam:CreateUser", ANY) is None
    assert effect(allow("iam:*"), bounds=[allow("*")]).may("iam:CreateUser", ANY) == ""
    assert effect(bounds=[allow("*")]).may("iam:CreateUser", ANY) is None
    assert effect(allow("*"), bounds=[allow("*"), deny("iam:*")]).may("iam:CreateUser", ANY) is None


def test_somewhere_is_on_at_least_one_resource_that_no_deny_covers():
    assert effect(allow("s3:*", ["a", "b"]), deny("s3:*", "a")).may_somewhere("s3:x") == ""
    assert effect(allow("s3:*", ["a", "b"]), deny("s3:*", ["a", "b"])).may_somewhere("s3:x") is None
    assert effect(allow("s3:*")).may_somewhere("ec2:RunInstances") is None


@pytest.mark.parametrize(
    ("statements", "yes"),
    [
        ([allow("*")], True),
        ([allow("*:*")], True),
        ([allow("*", "arn:aws:s3:::x")], False),
        ([allow("iam:*")], False),
        ([allow("*"), deny("s3:DeleteBucket")], True),
        ([allow("*"), deny("*")], False),
        ([allow("*"), deny("iam:*")], False),
        ([allow("*"), deny("iam:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})], True),
        ([allow("*"), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], False),
    ],
)
def test_an_administrator_may_do_all_and_no_deny_takes_the_power_over_rights_away(statements, yes):
    assert effect(*statements).is_administrator is yes


# Privileges of one policy


def test_every_action_on_every_resource_is_a_privilege():
    assert rights(allow(["s3:GetObject", "s3:Put*"], ["arn:aws:s3:::a", "arn:aws:s3:::b/*"])) == [
        ("s3:GetObject", "arn:aws:s3:::a", False),
        ("s3:GetObject", "arn:aws:s3:::b/*", True),
        ("s3:Put*", "arn:aws:s3:::a", True),
        ("s3:Put*", "arn:aws:s3:::b/*", True),
    ]


def test_a_deny_takes_away_what_it_covers_and_is_noted_where_it_takes_a_part():
    assert rights(allow(["s3:GetObject", "s3:PutObject"], "x"), deny("s3:Put*")) == [("s3:GetObject", "x", False)]
    (left,) = privileges(policy(allow("s3:*"), deny("s3:DeleteBucket")).statements, 10)
    assert left.notes == ("a Deny takes part of it away (s3:deletebucket)",)
    assert rights(allow("s3:*"), {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}) == []


def test_not_action_is_a_wildcard_that_says_what_is_left_out():
    (one,) = privileges(policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}).statements, 10)
    assert (one.action, one.resource, one.wildcard, one.notes) == ("*", "*", True, ("every action except iam:*",))


def test_too_many_pairs_become_one_an_action():
    found = privileges(policy(allow(["s3:A", "s3:B"], [f"r{n}" for n in range(50)])).statements, 20)
    assert [(p.action, p.resource, p.wildcard) for p in found] == [("s3:A", "*", True), ("s3:B", "*", True)]
    assert found[0].notes == ("50 resources are listed as `*`",)


names = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject", "iam:*", "iam:PassRole", "s?:*"])
objects = st.sampled_from(["*", "a", "a*", "ab", "b*", "?b"])
statements = st.builds(
    lambda effect, action, resource: {"Effect": effect, "Action": action, "Resource": resource},
    st.sampled_from(["Allow", "Deny"]),
    st.lists(names, min_size=1, max_size=2),
    st.lists(objects, min_size=1, max_size=2),
)


@given(st.lists(statements, max_size=5), st.sampled_from(["s3:GetObject", "iam:PassRole"]), st.sampled_from(["a", "b"]))
def test_whatever_is_allowed_is_in_the_privileges_and_is_what_aws_says(found, action, resource):
    def names_it(statement):
        return any(matches(n.lower(), action.lower()) for n in statement["Action"]) and any(
            matches(n, resource) for n in statement["Resource"]
        )

    hits = {statement["Effect"] for statement in found if names_it(statement)}
    allowed = hits == {"Allow"}
    assert (effect(*found).may(action, resource) is not None) is allowed
    listed = any(
        matches(p.action.lower(), action.lower()) and matches(p.resource, resource)
        for p in privileges(policy(*found).statements, 100)
    )
    assert listed or not allowed


@given(st.lists(statements, max_size=4), st.lists(statements, max_size=3))
def test_adding_a_deny_never_gives_and_adding_an_allow_never_takes(found, more):
    def allowed(all_of_them):
        mine = effect(*all_of_them)
        return {(a, r) for a in ("s3:GetObject", "iam:PassRole") for r in ("a", "ab") if mine.may(a, r) is not None}

    given_more = [one | {"Effect": "Allow"} for one in more]
    taken = [one | {"Effect": "Deny"} for one in more]
    assert allowed(found) <= allowed([*found, *given_more])
    assert allowed([*found, *taken]) <= allowed(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Allow", "Deny", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Action", "Resource", "NotAction", "Condition", "Principal", "AWS"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_a_document_or_is_refused(value):
    try:
        document = read_document(value)
    except InvalidInput:
        return
    privileges(document.statements, 10)
    assert effect_of(document.statements, {}).is_administrator in {True, False}
