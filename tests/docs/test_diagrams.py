"""The state diagrams in the docs are those of the transition tables."""

from __future__ import annotations

import pytest

from support.tools import load_tool

gen_diagrams = load_tool("gen_diagrams")


def test_the_diagrams_in_the_docs_are_those_of_the_tables():
    page = gen_diagrams.PAGE.read_text(encoding="utf-8")

    assert gen_diagrams.redrawn(page) == page


def test_every_lifecycle_is_drawn():
    assert set(gen_diagrams.DIAGRAMS) == {"request", "grant", "review"}


def test_a_diagram_that_was_edited_by_hand_is_drawn_anew():
    page = gen_diagrams.PAGE.read_text(encoding="utf-8")
    edited = page.replace("revoking --> ended: confirm_end", "revoking --> active: confirm_end")

    assert edited != page
    assert gen_diagrams.redrawn(edited) == page


def test_a_page_without_a_place_for_a_diagram_is_an_error():
    with pytest.raises(ValueError, match="places are"):
        gen_diagrams.redrawn("<!-- diagram: grant -->\n<!-- end -->\n")
