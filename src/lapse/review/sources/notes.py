"""Problems that many records have: counted, each with its first examples, and reported once. Called by sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from lapse.review.sources.reading import Reading

_EXAMPLES = 5


@dataclass(slots=True)
class _Note:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Notes:
    """What is wrong with the evidence of one source. What is said must not vary with the record; examples may."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], _Note] = {}

    def add(self, table: str, what: str, example: str = "", count: int = 1) -> None:
        """`what` is wrong with `count` records that are, or should be, rows of `table`."""
        note = self._notes.setdefault((table, what), _Note())
        note.count += count
        if example and len(note.examples) < _EXAMPLES and example not in note.examples:
            note.examples.append(example)

    def report(self, reading: Reading) -> None:
        """Pass everything on."""
        for (table, what), note in self._notes.items():
            reading.problem(table, what, rows=note.count, examples=note.examples)
