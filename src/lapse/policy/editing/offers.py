"""The text of one offer, and another one like it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lapse.policy.editing.spans import CannotEdit, find_rule
from lapse.policy.formatting.layout import lay_out
from lapse.policy.formatting.pieces import Branch, Leaf, Reader, Twig

_HEAD = 3
"""Lines of a file before its first offer: the version, a blank line, the key."""


@dataclass(frozen=True)
class OfferText:
    """An offer as it is written: `entries` are its keys with their values and comments."""

    name: str
    file: str
    entries: tuple[Twig, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys that it has."""
        return frozenset(map(_key, self.entries))

    def like(self, replaced: Mapping[str, str], keep: Collection[str]) -> list[str]:
        """The lines of an offer with the keys `keep` of this one and `replaced` values; they begin with `- name: …`."""
        own = {_key(twig): twig for twig in self.entries if _key(twig) in keep}
        return offer_lines({name: replaced.get(name, own.get(name)) for name in (*replaced, *own)})


def offer_lines(values: Mapping[str, str | Twig | None]) -> list[str]:
    """The lines of an offer with these values (sources of YAML), in the order of the language."""
    entries = [_twig(name, value) for name, value in values.items() if value is not None]
    offer = Branch(is_map=True, flow=False, column=0, entries=entries)
    offers = Branch(is_map=False, flow=False, column=0, entries=[Twig("", [], offer)])
    root = Branch(is_map=True, flow=False, column=0)
    root.entries = [Twig("version", [], Leaf("1")), Twig("offers", [], offers)]
    return [line.removeprefix("  ") for line in lay_out(root, []).split("\n")[_HEAD:-1]]


def offer_text(files: Mapping[str, str], name: str) -> OfferText:
    """The offer called `name`.

    Raises:
        CannotEdit: there is none.
    """
    file, item = find_rule(files, name, ("offers",))
    first, *others = files[file][item.start : item.end].split("\n")
    deeper = " " * (0 if item.flow else item.column)
    source = "\n".join((first, *(line.removeprefix(deeper) for line in others)))
    root = Reader(file, source).root
    if not isinstance(root, Branch):  # pragma: no cover  an offer is a map
        raise CannotEdit(f"the offer `{name}` is no map")
    return OfferText(name, file, tuple(root.entries))


def _twig(name: str, value: str | Twig) -> Twig:
    return value if isinstance(value, Twig) else Twig(name, [], Leaf(value))


def _key(twig: Twig) -> str:
    return twig.key.strip("'\"")
