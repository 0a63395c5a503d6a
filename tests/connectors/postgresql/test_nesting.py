"""Indirect memberships against a plain search over all paths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lapse.connectors.postgresql.nesting import nested
from lapse.domain.access import ObservedMembership

ROLES = "abcdef"
edges = st.builds(
    lambda pair, inherits, may_set, admin: ObservedMembership(
        member=pair[0], role=pair[1], inherits=inherits, may_set=may_set, admin_option=admin
    ),
    # The server keeps memberships free of circles: a later letter is a member of an earlier one.
    st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES)).filter(lambda pair: pair[0] > pair[1]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def all_paths(direct, member):
    """Every chain of two or more memberships that starts at `member`."""
    open_paths = [[m] for m in direct if m.member == member]
    while open_paths:
        path = open_paths.pop()
        if len(path) > 1:
            yield path
        open_paths += [[*path, m] for m in direct if m.member == path[-1].role]


@given(st.lists(edges, max_size=12))
def test_nested_is_what_all_paths_say(direct):
    found = {(m.member, m.role): m for m in nested(direct)}
    expected = {}
    for member in ROLES:
        for path in all_paths(direct, member):
            expected.setdefault((member, path[-1].role), []).append(path)
    assert found.keys() == expected.keys()
    for key, paths in expected.items():
        assert len(found[key].via) == min(len(path) for path in paths) - 1
        assert found[key].inherits == any(all(m.inherits for m in path) for path in paths)
        assert found[key].may_set == any(all(m.may_set for m in path) for path in paths)
        assert found[key].admin_option == any(path[-1].admin_option for path in paths)


def test_a_circle_ends():
    circle = [ObservedMembership(member=a, role=b) for a, b in ("ab", "bc", "ca")]
    assert {(m.member, m.role) for m in nested(circle)} == {("a", "c"), ("b", "a"), ("c", "b")}
