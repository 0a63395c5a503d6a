"""Bounds on those who have not proved who they are."""

from __future__ import annotations

from lapse.gateway.context import Limits
from lapse.gateway.strangers import Strangers


class Task:
    """Stands for a task."""

    def __init__(self):
        self.sent_away = False

    def cancel(self):
        self.sent_away = True


def crowd(limits, **by_host):
    """Strangers with so many of each address, and their tasks."""
    strangers = Strangers(limits)
    tasks = {host: [Task() for _ in range(number)] for host, number in by_host.items()}
    for host, of_host in tasks.items():
        for task in of_host:
            assert strangers.room_for(host)
            strangers.add(host, task)
    return strangers, tasks


def test_an_address_gets_so_many_and_no_more():
    strangers, _ = crowd(Limits(unauthenticated_per_address=3), a=3, b=1)
    assert not strangers.room_for("a")
    assert strangers.room_for("b")


def test_when_all_places_are_taken_the_oldest_of_the_busiest_address_goes():
    strangers, tasks = crowd(Limits(unauthenticated=6, unauthenticated_per_address=5), a=1, b=4, c=1)
    assert strangers.room_for("d")
    assert [task.sent_away for task in tasks["b"]] == [True, False, False, False]
    assert not any(task.sent_away for task in tasks["a"] + tasks["c"])
    assert len(strangers) == 5


def test_one_that_is_known_makes_room():
    strangers, tasks = crowd(Limits(unauthenticated_per_address=1), a=1)
    (task,) = tasks["a"]
    assert task in strangers
    strangers.discard(task)
    assert task not in strangers
    assert strangers.room_for("a")
    assert not task.sent_away


def test_discarding_twice_or_somebody_else_changes_nothing():
    strangers, tasks = crowd(Limits(), a=2)
    strangers.discard(tasks["a"][0])
    strangers.discard(tasks["a"][0])
    strangers.discard(Task())
    assert len(strangers) == 1
