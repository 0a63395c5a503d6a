"""What an actor's scopes allow."""

from __future__ import annotations

import pytest

from lapse.domain.actors import Actor, Scope, system_actor
from lapse.domain.errors import Refused


def test_one_of_the_wanted_scopes_suffices():
    Actor(name="ann", scopes=frozenset({Scope.AUDIT})).require(Scope.ADMIN, Scope.AUDIT)


def test_no_scope_includes_another():
    with pytest.raises(Refused, match="`ann` may not do this") as refused:
        Actor(name="ann", scopes=frozenset({Scope.ADMIN})).require(Scope.APPROVE)
    assert refused.value.hint == "use a token with scope `approve`"


def test_asking_for_none_of_them_allows_nobody():
    with pytest.raises(Refused):
        Actor(name="ann", scopes=frozenset(Scope)).require()


def test_an_actor_starts_with_nothing():
    with pytest.raises(Refused):
        Actor(name="ann").require(*Scope)


def test_parts_of_lapse_act_under_their_own_name():
    enforcer = system_actor("enforcer")

    assert (enforcer.name, enforcer.via) == ("system:enforcer", "system")
    enforcer.require(Scope.ADMIN)
