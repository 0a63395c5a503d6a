"""The frameworks that come with lapse: their clauses, in words of ours, and the detectors that are evidence for each.

Guarantee: a clause is in exactly one framework, and what a detector's front matter says of a clause is there as well.
Called when a review is started (`frameworks_named`), judged and sealed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from lapse.domain.data import from_data
from lapse.domain.errors import Corrupt, InvalidInput
from lapse.domain.names import shown
from lapse.review.detection.detector import Detector, all_detectors

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}", re.ASCII)
_DISTINCT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause. `title` paraphrases it; `detectors` are evidence for it, and so are `files` of the pack."""

    id: str
    title: str
    detectors: tuple[str, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One framework. `checked` says by what its ids were checked; `aliases` are other names that people give it."""

    id: str
    title: str
    checked: str
    clauses: tuple[Clause, ...]
    aliases: tuple[str, ...] = ()


@cache
def all_frameworks() -> tuple[Framework, ...]:
    """Every framework that comes with lapse, ordered by id, with what the detectors themselves say added.

    Raises:
        Corrupt: a file names a clause twice, or a detector that there is not.
    """
    folder = files("lapse.review.frameworks")
    found = [
        parse_framework(file.read_text("utf-8"), file.name) for file in folder.iterdir() if file.name.endswith(".yaml")
    ]
    return completed(sorted(found, key=lambda one: one.id), all_detectors())


def parse_framework(text: str, name: str) -> Framework:
    """The framework in `text`, the contents of a file called `name`.

    Raises:
        Corrupt: it is not one.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        framework = from_data(Framework, YAML(typ="safe", pure=True).load(io.StringIO(text)))
    except YAMLError as error:
        raise Corrupt(f"`{shown(name)}` is not YAML: {shown(str(error), 200)}") from None
    if not _ID.fullmatch(framework.id) or name != f"{framework.id}.yaml":
        raise Corrupt(f"`{shown(name)}` is not called after the framework in it, `{shown(framework.id)}`")
    return framework


def completed(frameworks: Sequence[Framework], detectors: Sequence[Detector]) -> tuple[Framework, ...]:
    """`frameworks` with each detector under every clause that its front matter names; contradictions are refused."""
    seen: dict[str, str] = {}
    known = {detector.id for detector in detectors}
    for framework in frameworks:
        for clause in framework.clauses:
            if clause.id in seen:
                raise Corrupt(f"clause `{clause.id}` is in `{seen[clause.id]}` and in `{framework.id}`")
            seen[clause.id] = framework.id
            if strange := sorted(set(clause.detectors) - known):
                raise Corrupt(f"clause `{clause.id}` of `{framework.id}` names `{strange[0]}`, which is no detector")
    claimed = _claims(detectors)
    order = [detector.id for detector in detectors]

    def whole(clause: Clause) -> Clause:
        names = {*clause.detectors, *claimed.get(clause.id, ())}
        return replace(clause, detectors=tuple(sorted(names, key=order.index)))

    return tuple(replace(one, clauses=tuple(whole(clause) for clause in one.clauses)) for one in frameworks)


def unplaced(frameworks: Iterable[Framework], detectors: Sequence[Detector]) -> tuple[str, ...]:
    """Clauses that a detector names and no framework has."""
    placed = {clause.id for framework in frameworks for clause in framework.clauses}
    return tuple(sorted(set(_claims(detectors)) - placed))


def frameworks_named(names: Iterable[str]) -> tuple[Framework, ...]:
    """The frameworks that people called `names` (id, title or alias, however spelt); all of them if there is no name.

    Raises:
        InvalidInput: there is no such framework.
    """
    wanted = list(names)
    known = all_frameworks()
    if not wanted:
        return known
    by_name = {_plain(name): one for one in known for name in (one.id, one.title, *one.aliases)}
    for name in wanted:
        if _plain(name) not in by_name:
            raise InvalidInput(
                f"there is no framework `{shown(name)}`", hint=f"there are {', '.join(one.id for one in known)}"
            )
    chosen = {by_name[_plain(name)].id for name in wanted}
    return tuple(one for one in known if one.id in chosen)


def frameworks_in_scope(names: Iterable[str]) -> tuple[Framework, ...]:
    """The frameworks that a scope names; all of them if it names none, or none that there is (an older review)."""
    known = {_plain(name) for one in all_frameworks() for name in (one.id, one.title, *one.aliases)}
    return frameworks_named(name for name in names if _plain(name) in known)


def _claims(detectors: Sequence[Detector]) -> Mapping[str, tuple[str, ...]]:
    claimed: dict[str, tuple[str, ...]] = {}
    for detector in detectors:
        for clause in detector.clauses:
            claimed[clause] = (*claimed.get(clause, ()), detector.id)
    return claimed


def _plain(name: str) -> str:
    return _DISTINCT.sub("", name.lower())
