"""Ways to an administrator's power: the shortest of every login, whatever the graph is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lapse.review.detection.escalation import admin_path_rows


def holds(account, role, *, holding="direct", powers=None, can_login=True, grant_id=None, resource="pg"):
    return {
        "resource": resource, "account": account, "role": role, "holding": holding, "principal": f"{account}!",
        "powers": powers, "can_login": can_login, "grant_id": grant_id,
    }  # fmt: skip


def step(from_name, to_name, how="can", resource="pg"):
    return {"resource": resource, "from_name": from_name, "to_name": to_name, "how": how}


def paths(held, steps=()):
    return {(row["account"], row["power"]): (row["steps"], row["path"]) for row in admin_path_rows(held, steps)}


def test_a_power_of_ones_own_is_no_step_away():
    assert paths([holds("root", "(superuser)", holding="power", powers="superuser")]) == {
        ("root", "(superuser)"): (0, "root > (superuser)")
    }


def test_memberships_powers_and_steps_make_one_way():
    held = [
        holds("ann", "app"),
        holds("app", "pg_execute_server_program", can_login=False),
        holds("bob", "ops", powers="superuser"),
    ]
    steps = [step("pg_execute_server_program", "(superuser)", "runs programs as the server's own user")]
    assert paths(held, steps) == {
        ("ann", "(superuser)"): (2, "ann > app > pg_execute_server_program > (superuser)"),
        ("bob", "(superuser)"): (1, "bob > ops > (superuser)"),
    }


def test_a_way_says_what_each_step_rests_on_and_which_grant_it_begins_with():
    held = [holds("ann", "ops", powers="superuser", grant_id="gra_1")]
    (row,) = admin_path_rows(held, [])
    assert (row["principal"], row["grant_id"], row["how"]) == ("ann!", "gra_1", "holds the role > has the power")


def test_roles_that_nobody_logs_in_with_have_no_way_of_their_own_and_resources_are_apart():
    held = [holds("app", "(superuser)", holding="power", powers="superuser", can_login=False), holds("ann", "app")]
    assert paths(held) == {("ann", "(superuser)"): (1, "ann > app > (superuser)")}
    assert paths([holds("ann", "app")], [step("app", "(superuser)", resource="my")]) == {}


def test_cycles_do_no_harm():
    held = [holds("ann", "a"), holds("a", "b"), holds("b", "a"), holds("b", "c", powers="superuser")]
    assert paths(held)["ann", "(superuser)"] == (3, "ann > a > b > c > (superuser)")


NAMES = st.sampled_from("abcdef")


@given(st.sets(st.tuples(NAMES, NAMES), max_size=14), st.sets(NAMES, max_size=2))
def test_a_way_is_found_where_there_is_one_and_none_is_shorter(edges, admins):
    held = [holds(a, b) for a, b in sorted(edges)] + [
        holds(one, "(superuser)", holding="power", powers="superuser") for one in sorted(admins)
    ]
    found = {account: steps for (account, _), (steps, _) in paths(held).items()}
    logins = {row["account"] for row in held}
    assert found == {name: length for name, length in distances(edges, admins).items() if name in logins}


def distances(edges, admins):
    """By trying ever longer ways: how many names lie between each login and the power."""
    reached, length = dict.fromkeys(admins, 0), 0
    while True:
        length += 1
        new = {a for a, b in edges if b in reached and a not in reached}
        if not new:
            return reached
        reached |= dict.fromkeys(new, length)
