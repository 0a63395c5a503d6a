"""The audit log of Kubernetes as evidence of who was given access from when to when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.aws_files import problems
from support.kubernetes_audit_lines import at, periods, read_events, written
from support.kubernetes_files import binding, group, sa, user

# Since when, until when


def test_access_is_held_from_when_a_binding_was_made_until_it_was_removed(tmp_path):
    result = read_events(
        tmp_path,
        written("delete", "03T10:00:00", level=""),
        written("create", "01T10:00:00", user("ann"), group("dev"), sa("web")),
        written("create", "02T10:00:00", user("bob"), namespace=None, ref="ClusterRole/cluster-admin", name="c"),
    )
    end = at("03T10:00:02.500000")
    assert sorted(periods(result)) == [
        ("ann", "clusterrole/edit@shop", at("01T10:00:02.500000"), end),
        ("bob", "clusterrole/cluster-admin", at("02T10:00:02.500000"), None),
        ("group/dev", "clusterrole/edit@shop", at("01T10:00:02.500000"), end),
        ("system:serviceaccount:shop:web", "clusterrole/edit@shop", at("01T10:00:02.500000"), end),
    ]
    assert {row["changed_by"] for row in result.access_periods} == {"root-ops"}


def test_who_a_changed_binding_does_not_name_any_more_has_lost_access(tmp_path):
    result = read_events(
        tmp_path,
        written("create", "01T10:00:00", user("ann"), user("bob")),
        written("update", "02T10:00:00", user("bob"), user("cat")),
        written("patch", "03T10:00:00", user("cat"), level="response"),
    )
    assert {(account, to_at) for account, _, _, to_at in periods(result)} == {
        ("ann", at("02T10:00:02.500000")),
        ("bob", at("03T10:00:02.500000")),
        ("cat", None),
    }


def test_access_through_two_bindings_ends_with_the_last_one(tmp_path):
    result = read_events(
        tmp_path,
        written("create", "01T10:00:00", user("ann"), name="one"),
        written("create", "02T10:00:00", user("ann"), name="two"),
        written("delete", "03T10:00:00", name="one", level=""),
        written("delete", "04T10:00:00", name="two", level=""),
    )
    assert periods(result) == [("ann", "clusterrole/edit@shop", at("01T10:00:02.5"), at("04T10:00:02.5"))]


def test_a_removal_of_all_bindings_ends_those_of_the_namespace_only(tmp_path):
    result = read_events(
        tmp_path,
        written("create", "01T10:00:00", user("ann")),
        written("create", "01T10:00:00", user("bob"), namespace="other"),
        written(
            "deletecollection", "02T10:00:00", name="", level="", requestURI="/apis/x/namespaces/shop/rolebindings"
        ),
        written(
            "deletecollection", "02T11:00:00", name="", level="", namespace="other", requestURI="/x?labelSelector=a"
        ),
    )
    assert {(account, to_at is None) for account, _, _, to_at in periods(result)} == {("ann", False), ("bob", True)}
    assert problems(result) == {"bindings that were removed by a selector: which ones is not logged": 1}


def test_what_a_removed_binding_gave_is_known_if_the_answer_says_so_and_else_counted(tmp_path):
    told = binding("old", "ClusterRole/edit", user("ann"), namespace="shop")
    told["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    result = read_events(
        tmp_path,
        written("delete", "02T10:00:00", name="old", level="", responseObject=told),
        written("delete", "02T10:00:00", name="older", level="", responseObject={"kind": "Status"}),
    )
    assert periods(result) == [("ann", "clusterrole/edit@shop", datetime(2025, 1, 1, tzinfo=UTC), at("02T10:00:02.5"))]
    assert problems(result) == {"bindings were removed, and what they gave is not logged": 1}


def test_bindings_whose_content_is_not_logged_are_counted(tmp_path):
    result = read_events(
        tmp_path,
        written("create", "01T10:00:00", level=""),
        written("patch", "01T10:00:00", user("ann"), level="request"),
        written("create", "01T10:00:00", user("ann"), name="", level="request"),
    )
    assert problems(result) == {
        "bindings were written, and what they give is not logged: level `Request` or higher would": 2,
        "bindings were made under a name that is not logged: when they ended cannot be told": 1,
    }


@pytest.mark.parametrize(
    "more",
    [{"responseStatus": {"code": 409}}, {"requestURI": "/x?dryRun=All"}, {"responseStatus": {"code": 403}}],
)
def test_a_dry_run_and_what_failed_give_nothing(tmp_path, more):
    assert periods(read_events(tmp_path, written("create", "01T10:00:00", user("ann"), **more))) == []
