"""One table per life: what is not in it cannot happen, and terminal is terminal."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Refused
from lapse.domain.grants import ENDING, GRANT_LIFE, LIVE, GrantEvent, GrantState
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.requests import REQUEST_LIFE, RequestEvent, RequestState
from lapse.domain.reviews import REVIEW_LIFE, ReviewEvent, ReviewState

LIVES = [
    pytest.param(REQUEST_LIFE, RequestState, RequestEvent, id="request"),
    pytest.param(GRANT_LIFE, GrantState, GrantEvent, id="grant"),
    pytest.param(REVIEW_LIFE, ReviewState, ReviewEvent, id="review"),
]


def follow(life, state, events):
    """The states passed through from `state`, events that are refused left out."""
    for event in events:
        try:
            state = life.step(state, event)
        except Refused:
            continue
        yield state


@pytest.mark.parametrize(("life", "states", "events"), LIVES)
@given(data=st.data())
def test_terminal_states_stay_terminal_under_any_events(life, states, events, data):
    start = data.draw(st.sampled_from(sorted(life.terminal)))
    many = data.draw(st.lists(st.sampled_from(events)))

    assert list(follow(life, start, many)) == []


@pytest.mark.parametrize(("life", "states", "events"), LIVES)
def test_step_agrees_with_allows_and_the_table_everywhere(life, states, events):
    for state in states:
        for event in events:
            if life.allows(state, event):
                assert life.step(state, event) is life.table[state, event]
            else:
                with pytest.raises(Refused, match=f"a {life.what} that is "):
                    life.step(state, event)


@pytest.mark.parametrize(("life", "states", "events"), LIVES)
def test_every_state_is_reached_and_every_event_is_used(life, states, events):
    reached = set(life.initial)
    for _ in states:
        reached |= {after for (before, _), after in life.table.items() if before in reached}

    assert reached == set(states)
    assert {event for _, event in life.table} == set(events)


@pytest.mark.parametrize(("life", "states", "events"), LIVES)
def test_from_every_state_an_end_can_be_reached(life, states, events):
    ends = set(life.terminal)
    for _ in states:
        ends |= {before for (before, _), after in life.table.items() if after in ends}

    assert ends == set(states)


def test_the_terminal_states_are_these():
    assert REQUEST_LIFE.terminal == set(RequestState) - {RequestState.PENDING}
    assert GRANT_LIFE.terminal == {GrantState.ENDED, GrantState.ACTIVATION_FAILED}
    assert REVIEW_LIFE.terminal == {ReviewState.SEALED}


def test_no_state_is_both_live_and_ending_and_none_of_them_is_terminal():
    assert not LIVE & ENDING
    assert not (LIVE | ENDING) & GRANT_LIFE.terminal


def test_what_is_ending_can_only_go_on_ending():
    for state in ENDING:
        after = {GRANT_LIFE.step(state, event) for event in GrantEvent if GRANT_LIFE.allows(state, event)}
        assert after <= ENDING | {GrantState.ENDED}


def test_a_refused_step_says_what_is_and_what_was_tried():
    with pytest.raises(Refused, match=r"^a request that is denied cannot be approved$"):
        REQUEST_LIFE.step(RequestState.DENIED, RequestEvent.APPROVE)
    with pytest.raises(Refused, match=r"^a grant that is revoke failed cannot be ended$"):
        GRANT_LIFE.step(GrantState.REVOKE_FAILED, GrantEvent.END)


def test_the_diagram_has_every_row_of_the_table_once():
    class Light(StrEnum):
        RED = "red"
        GREEN = "green"
        OFF = "off"

    class Turn(StrEnum):
        GO = "go"
        BREAK = "break"

    life = Lifecycle(
        what="light",
        initial=frozenset({Light.RED}),
        table={(Light.RED, Turn.GO): Light.GREEN, (Light.GREEN, Turn.BREAK): Light.OFF},
    )

    assert life.mermaid() == (
        "stateDiagram-v2\n    [*] --> red\n    red --> green: go\n    green --> off: break\n    off --> [*]"
    )
