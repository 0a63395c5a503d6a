"""A counter-example as lines that a person reads: who and what there is, then each request with who agrees to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lapse.domain.catalog import Catalog
from lapse.domain.durations import human_duration
from lapse.domain.names import shown
from lapse.domain.principals import Principal, PrincipalKind
from lapse.policy.proof.consent import count
from lapse.policy.proof.results import CounterExample, Step

_MOST_STEPS = 6
_MOST_PERSONS = 4


def lines_of(example: CounterExample) -> tuple[str, ...]:
    """The counter-example, a sentence a line; long ones are left to whoever shows them to break."""
    first = example.steps[0].ask
    persons = count(step.persons for step in example.steps)
    names = dict.fromkeys((first.requester.name, first.beneficiary.name, *_behind(example)))
    lines = [_person(example.catalog, name) for name in names]
    lines.append(_resource(example))
    lines += _steps(example.steps)
    if len(example.steps) > 1:
        agreed = "nobody agrees" if not persons else f"{_persons(persons)} in all agree{'s' if persons == 1 else ''}"
        lines.append(f"together {human_duration(example.total)} without a gap, and {agreed} to it")
    return tuple(lines)


def _behind(example: CounterExample) -> list[str]:
    """Who is named by the principals themselves."""
    found = []
    for name in (example.steps[0].ask.requester.name, example.steps[0].ask.beneficiary.name):
        principal = example.catalog.principals[name]
        found += [other for other in (principal.alias_of, principal.sponsor, principal.owner) if other]
    return found


def _person(catalog: Catalog, name: str) -> str:
    principal = catalog.principals[name]
    parts = [*_links(principal), *_groups(catalog, name)]
    article = "an" if principal.kind is PrincipalKind.AGENT else "a"
    return f"`{shown(name)}` is {article} {principal.kind}" + "".join(f", {part}" for part in parts)


def _links(principal: Principal) -> Iterator[str]:
    if principal.alias_of:
        yield f"an alias of `{shown(principal.alias_of)}`"
    for what in ("sponsor", "owner", "manager", "department", "title", "email", "display_name"):
        value = getattr(principal, what)
        if value:
            yield f"{what.replace('_', ' ')} `{shown(value)}`"


def _groups(catalog: Catalog, name: str) -> Iterator[str]:
    groups = sorted(catalog.groups_of(name))
    if groups:
        yield "in " + " and ".join(f"`group:{shown(group)}`" for group in groups)


def _resource(example: CounterExample) -> str:
    ask = example.steps[0].ask
    parts = [f"`{shown(ask.resource.name)}` is a resource"]
    parts += [f"tag `{shown(key)}={shown(value)}`" for key, value in ask.resource.tags.items()]
    parts += [f"owned by `{shown(ask.resource.owner)}`"] if ask.resource.owner else []
    tags = [f"`{shown(key)}={shown(value)}`" for key, value in ask.entitlement.tags.items()]
    parts += [f"its role `{shown(ask.entitlement.role)}` with tag {' and '.join(tags)}"] if tags else []
    return ", ".join(parts)


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    """All of them, or the first and the last of very many."""
    if len(steps) <= _MOST_STEPS:
        yield from (_step(number, step) for number, step in enumerate(steps, start=1))
        return
    yield from (_step(number, steps[number - 1]) for number in (1, 2))
    yield f"… {len(steps) - 3} more such requests …"
    yield _step(len(steps), steps[-1])


def _step(number: int, step: Step) -> str:
    ask = step.ask
    whom = "" if ask.for_self else f" on behalf of `{shown(ask.beneficiary.name)}`"
    kind = "as break-glass " if step.break_glass else ""
    what = f"`{shown(ask.entitlement.name)}`"
    more = "more of " if ask.is_extension else ""
    return (
        f"{number}. {ask.at:%a %Y-%m-%d %H:%M} UTC: `{shown(ask.requester.name)}` asks {kind}for {more}{what}{whom}, "
        f"{human_duration(ask.duration)}{_from(step)}; offer `{step.offer}` allows it; {_agree(step)}"
    )


def _from(step: Step) -> str:
    later = step.held_from > step.ask.at and not step.ask.is_extension
    return f" from {step.held_from:%a %Y-%m-%d %H:%M} UTC" if later else ""


def _agree(step: Step) -> str:
    if not step.persons:
        return "nobody has to agree"
    named = [f"`{shown(name)}`" for name in step.persons[:_MOST_PERSONS]]
    more = len(step.persons) - len(named)
    listed = ", ".join(named) + (f" and {more} more" if more else "")
    return f"{listed} agree{'s' if len(step.persons) == 1 else ''}"


def _persons(number: int) -> str:
    return "1 person" if number == 1 else f"{number} persons"
