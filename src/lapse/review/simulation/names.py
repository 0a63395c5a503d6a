"""Names of people and of areas of a made-up company. Pure; called by `people`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product

from lapse.review.simulation.chance import Stream

_FIRST = (
    "ada alan amara anna arjun ben carla chen dana david diego elif emma fatima felix grace hana hugo ines ivan jana "
    "jonas judy kavya kemal lara leo lin luca maja max mei nils noah nora omar paul pia priya raj rosa sam sofia tara "
    "tom uma vera wei yusuf zoe"
)
_LAST = (
    "abe adler ahmed bauer berg blum brandt castro cohen costa cruz das demir diaz dietz egger evans fischer flores "
    "ford gupta haas hansen horn ibrahim iyer jansen jones kaya keller khan kim klein kumar lang lee lopez maier mehta "
    "meyer mori nair novak olsen park patel perez quinn rao reyes roth sato schmidt shah silva singh sommer tan vogel "
    "wagner wang weber winter wolf yang young zhou"
)
_AREAS = (
    "orders billing search catalog identity shipping pricing ledger-feed crm analytics inventory returns support-desk "
    "mobile web-shop payments-gateway fraud loyalty notifications documents reporting suppliers forecasting media "
    "checkout messaging scheduling maps partners data-lake streaming archive campaigns insights onboarding devices"
)


def people_names(chance: Stream) -> Iterator[str]:
    """Names without end, none of them twice: `ada.meyer`, and `ada.meyer2` when all are used up."""
    pairs = [f"{first}.{last}" for first, last in product(_FIRST.split(), _LAST.split())]
    chance.shuffle(pairs)
    yield from pairs
    for turn in count(2):
        yield from (f"{name}{turn}" for name in pairs)


def area_names(number: int) -> list[str]:
    """Names of `number` areas of the product, each of which comes first in the names of its resources."""
    names = _AREAS.split()
    return [names[i] if i < len(names) else f"{names[i % len(names)]}-{i // len(names) + 1}" for i in range(number)]
