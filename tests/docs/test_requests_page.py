"""docs/requests.md is true: its commands, given one after the other, print what the page shows."""

from __future__ import annotations

from support.docs_office import Office, shown_in
from support.examples import matches
from support.tools import ROOT

PAGE = ROOT / "docs" / "requests.md"


def test_what_the_page_shows_is_what_people_see(tmp_path, monkeypatch):
    office = Office(tmp_path / "home", monkeypatch)
    office.set_up()
    examples = shown_in(PAGE)
    assert len(examples) > 30

    wrong = []
    for one in examples:
        printed = "\n".join(line.rstrip() for line in office.run(one).splitlines())
        if not matches(one.output, printed):
            wrong.append(f"{one.who}$ {one.command}\n--- the page:\n{one.output}--- printed:\n{printed}\n")
    assert not wrong, "\n".join(wrong)
