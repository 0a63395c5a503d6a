"""Every YAML example on the pages about integrations is one that lapse takes."""

from __future__ import annotations

import re

import pytest

from lapse.bootstrap.integrations.language import read_integrations
from lapse.policy import parse
from lapse.rotas.language import parse_rota
from support.tools import ROOT

PAGES = ("integrations", "tickets", "rotas", "notices")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [(page, text) for page in PAGES for text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())]


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_an_example_is_taken(page, text):
    if "\noffers:" in text:
        parse({f"{page}.md": text})
    elif "\ntimezone:" in text:
        parse_rota(f"{page}.md", text)
    else:
        read_integrations(f"{page}.md", text)


def test_there_are_examples_of_everything():
    assert len(EXAMPLES) >= 10
