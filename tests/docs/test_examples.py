"""Every command that the docs, the hints and the messages show exists, with the options that are shown.

A block marked ```` ```console run ```` is also run, in an empty home folder, and must print what stands below each
command (`…` for what differs).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO

import pytest

from lapse.entrypoints.cli.main import run
from lapse.entrypoints.cli.session import Parts
from support.examples import Example, fenced, inline, matches
from support.tools import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(path for path in ROOT.glob("src/**/*") if path.suffix in {".py", ".sql", ".html"})
TEXTS = {path: path.read_text(encoding="utf-8") for path in [*PAGES, *SOURCES]}
SHOWN = [
    *(one for page in PAGES for one in fenced(page, TEXTS[page], to_run=False)),
    *(one for path, text in TEXTS.items() for one in inline(path, text)),
]
TO_RUN = {page: found for page in PAGES if (found := list(fenced(page, TEXTS[page], to_run=True)))}
WIDE = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def lapse(*words, **environment):
    command = [sys.executable, "-m", "lapse", *words]
    return subprocess.run(command, env=WIDE | environment, capture_output=True, text=True, timeout=60, check=False)


@cache
def help_of(*words):
    """The help of a command, or None where there is no such command; in this process, since there are many."""
    shown = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(StringIO()):
        for name in ("COLUMNS", "NO_COLOR", "TERM"):
            patch.setenv(name, WIDE[name])
        code = run([*words, "--help"], Parts(embedded=None, serve=None, gateway=None, demo=None))
    return shown.getvalue() if code == 0 else None


@cache
def subcommands(*words):
    """The commands that the help of `words` lists."""
    listed = help_of(*words) or ""
    return set(re.findall(r"^[ │|]*([a-z]+(?:-[a-z]+)*)(?=\s{2,}|\s*[│|]?$)", listed, flags=re.MULTILINE))


def help_for(example):
    """The help of the command that is shown; its words are followed as far as they name commands."""
    path = []
    for word in example.leading:
        if word not in subcommands(*path):
            break
        path.append(word)
    return path, help_of(*path) or ""


def test_every_command_that_is_shown_exists_with_its_options():
    wrong = []
    for example in SHOWN:
        path, text = help_for(example)
        if example.leading and not path:
            wrong.append(f"{example.where}: `{example.command}`: there is no such command")
        elif not text:
            wrong.append(f"{example.where}: `{example.command}`: `lapse {' '.join(path)}` has no help")
        elif len(path) < len(example.leading) and subcommands(*path):
            wrong.append(f"{example.where}: `{example.command}`: `{' '.join(path)}` has no such command")
        wrong += [
            f"{example.where}: `{example.command}`: there is no `{option}`"
            for option in sorted(example.options)
            if not re.search(rf"{re.escape(option)}(?![\w-])", text)
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", TO_RUN, ids=lambda page: page.name)
def test_what_the_docs_run_prints_what_they_show(page, tmp_path):
    for example in TO_RUN[page]:
        done = lapse(*example.words, LAPSE_HOME=str(tmp_path / "home"))
        assert matches(example.output, done.stdout + done.stderr), f"{example.command}\n{done.stdout}{done.stderr}"


def test_examples_are_found_with_their_words_and_output(tmp_path):
    page = tmp_path / "page.md"
    text = (
        "Say `lapse lock add everything` or `lapse {what} list`.\n\n"
        "```console\n$ make demo\n$ lapse request create pg/reader --for 2h  # soon\n```\n\n"
        "```console run\n$ lapse --version\nlapse …\n```\n"
    )

    assert [one.command for one in inline(page, text)] == ["lapse lock add everything"]
    (shown,) = fenced(page, text, to_run=False)
    assert (shown.leading, shown.options) == (["request", "create"], {"--for"})
    assert list(fenced(page, text, to_run=True)) == [Example("page.md", "lapse --version", "lapse …\n")]


def test_what_differs_each_time_is_left_open():
    assert matches("lapse …\n", "lapse 0.1.0\n")
    assert not matches("lapse …\n", "laps 0.1.0\n")
