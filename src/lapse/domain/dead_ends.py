"""Says when a request can no longer be approved: too few persons could still say yes, now and after every escalation.

It never says so where it is not sure: who will be on call later is not known. Called by `control` when something is
asked, and by whoever shows a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.approval import StageTally, Tally
from lapse.domain.approvers import ON_CALL, eligible_persons
from lapse.domain.catalog import Catalog
from lapse.domain.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadEnd:
    """Stage `stage` needs `missing` more persons, and `able` are left who could say yes."""

    stage: str
    approvers: tuple[str, ...]
    missing: int
    able: int

    @property
    def text(self) -> str:
        """The same as a sentence."""
        return (
            f"stage `{self.stage}` needs {self.missing} more of {', '.join(f'`{party}`' for party in self.approvers)}, "
            f"and {self.able or 'none'} of them may still decide on this request"
        )


def dead_end(result: Tally, request: Request, catalog: Catalog) -> DeadEnd | None:
    """The first stage that can no longer be met, as the catalog is now; None if all can, or if that is not known."""
    pools = {
        index: _pool(one, result, request, catalog)
        for index, one in enumerate(result.stages)
        if not one.met and not _depends_on_rota(one)
    }
    slots = [(index, number) for index in pools for number in range(_least(result.stages[index]))]
    filled = _matched(slots, pools)
    for index in pools:
        one, missing = result.stages[index], _least(result.stages[index])
        able = sum(1 for slot in filled if slot[0] == index)
        if able < missing:
            return DeadEnd(stage=one.stage.name, approvers=_parties(one), missing=missing, able=able)
    return None


def _least(one: StageTally) -> int:
    """How many more must say yes in any case: where all must, whoever says yes in another stage is not waited for."""
    return max(one.stage.quorum - len(one.approved_by), 0) if one.stage.everyone else one.missing


def _pool(one: StageTally, result: Tally, request: Request, catalog: Catalog) -> Sequence[str]:
    able = eligible_persons(one.stage, request, catalog, on_call={}, open_for=timedelta.max)
    return sorted(able - result.mandates)


def _parties(one: StageTally) -> tuple[str, ...]:
    more = (party for step in one.stage.escalations for party in step.approvers)
    return tuple(dict.fromkeys((*one.stage.approvers, *more)))


def _depends_on_rota(one: StageTally) -> bool:
    return any(party.startswith(f"{ON_CALL}:") for party in (*_parties(one), *one.stage.excluded))


_Slot = tuple[int, int]


def _matched(slots: Sequence[_Slot], pools: Mapping[int, Sequence[str]]) -> set[_Slot]:
    """As many votes that are missing as can come from different persons (Kuhn's matching), earlier stages first."""
    holder: dict[str, _Slot] = {}
    for slot in slots:
        _place(slot, pools, holder, set())
    return set(holder.values())


def _place(slot: _Slot, pools: Mapping[int, Sequence[str]], holder: dict[str, _Slot], tried: set[str]) -> bool:
    for person in pools[slot[0]]:
        if person in tried:
            continue
        tried.add(person)
        other = holder.get(person)
        if other is None or _place(other, pools, holder, tried):
            holder[person] = slot
            return True
    return False
