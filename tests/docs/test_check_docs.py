"""What the docs check notices."""

from __future__ import annotations

import pytest

from support.tools import load_tool

check_docs = load_tool("check_docs")

PAGE = """\
# The page

[here](#the-page), [there](other.md), [deep](other.md#a-part-b), [away](https://example.com/nothing)

```
[not a link](missing.md)
```
"""


@pytest.fixture
def page(tmp_path):
    (tmp_path / "other.md").write_text("# Other\n\n## A part: `b`\n\n```\n# no heading\n```\n", encoding="utf-8")
    return tmp_path / "page.md"


def links(page, text):
    page.write_text(text, encoding="utf-8")
    return list(check_docs.check_links(page, text))


def test_links_that_lead_somewhere_are_right(page):
    assert links(page, PAGE) == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("missing.md", "1: the link to `missing.md` leads nowhere"),
        ("other.md#none", "1: `other.md` has no heading `#none`"),
        ("other.md#no-heading", "1: `other.md` has no heading `#no-heading`"),
        ("#none", "1: `page.md` has no heading `#none`"),
    ],
)
def test_links_that_lead_nowhere_are_named(page, link, problem):
    assert links(page, f"[x]({link})\n") == [problem]


def test_a_module_must_say_what_it_is_for():
    path = check_docs.ROOT / "src" / "lapse" / "example.py"

    assert list(check_docs.check_docstring(path, "x = 1\n")) == ["1: the module does not open with a docstring"]
    assert list(check_docs.check_docstring(path, '"""Guarantees x."""\nx = 1\n')) == []
    assert list(check_docs.check_docstring(check_docs.ROOT / "tests" / "test_x.py", "x = 1\n")) == []


def test_leftovers_are_named_with_their_line():
    left = "x = 1\n# TO" + "DO later\n"

    assert list(check_docs.check_leftovers(None, left)) == ["2: `TO" + "DO` is left"]
    assert list(check_docs.check_leftovers(None, "the todo list, toDOM()\n")) == []
