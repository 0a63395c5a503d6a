"""How the program starts: quickly, with only what a command needs; and how it says what is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lapse.__main__ import demo, embedded, gateway, serve
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, LapseError, NotFound, Refused, Unavailable
from lapse.entrypoints.cli import main
from lapse.entrypoints.cli.session import Parts

HEAVY = (
    *("fastapi", "starlette", "uvicorn", "httpx", "sqlalchemy", "alembic", "duckdb", "pyarrow", "psycopg"),
    *("asyncssh", "pglast", "cryptography", "z3", "celpy", "yaml", "msgspec", "rich", "asyncio", "ssl", "logging"),
)
PARTS = Parts(embedded=embedded, serve=serve, gateway=gateway, demo=demo)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from lapse.entrypoints.cli.main import run; from lapse.__main__ import *\n"
        "code = run(['--help'], Parts(embedded=embedded, serve=serve, gateway=gateway, demo=demo))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


def test_the_list_of_commands_says_what_their_modules_say():
    listed = {name: text for name, (_, text) in main.COMMANDS.items()}
    app = main.build(PARTS)
    real = {one.name: one.callback.__doc__.partition("\n")[0] for one in app.registered_commands}
    real |= {one.name: one.typer_instance.info.help for one in app.registered_groups}

    assert real == listed


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_command_has_help_that_fits_a_narrow_terminal(program, name):
    program.environment["COLUMNS"] = "80"
    lines = program.run(name, "--help").out.splitlines()

    assert all(len(line) <= 80 for line in lines)
    assert not [line for line in lines[1:] if line.endswith("...")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 2),
        (Refused("x"), 3),
        (NotFound("x"), 4),
        (Conflict("x"), 5),
        (Unavailable("x"), 6),
        (Corrupt("x"), 1),
        (LapseError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert main.exit_code_of(error) == code


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["grnt", "list"], 2, "lapse: no such command `grnt`\n  hint: did you mean `grant`?\n"),
        (["grant", "lst"], 2, "lapse: no such command `lst`\n  hint: did you mean `list`?\n"),
        (["grant", "show"], 2, "lapse: missing argument `GRANT`\n  hint: `lapse grant show --help` "),
        (["grant", "list", "--limit", "0"], 2, "lapse: invalid value for `--limit`"),
        (["grant", "list", "--colour"], 2, "lapse: no such option: --colour"),
        (["grant", "show", "gra_1"], 4, "lapse: "),
        (
            ["request", "list", "--state", "open"],
            2,
            "lapse: the query is not right: `state[0]`: invalid enum value `op",
        ),
        (["--as", "alice", "grant", "list"], 3, "lapse: this lapse has no local users\n  hint: "),
        (["--token", "lapse_wrong", "grant", "list"], 3, "lapse: the token is not valid\n  hint: "),
        (
            ["--url", "http://127.0.0.1:1", "grant", "list"],
            6,
            "lapse: the server at http://127.0.0.1:1 does not answer",
        ),
        (
            ["--url", "http://192.0.2.1", "grant", "list"],
            3,
            "lapse: a token is not sent to another machine without TLS",
        ),
        (["--home", "/nonexistent", "grant", "list"], 4, "lapse: nothing is set up in `/nonexistent`\n  hint: "),
        (["catalog", "apply", "/nonexistent.yaml"], 2, "lapse: `/nonexistent.yaml` cannot be read: no such file"),
        (["target", "check", "pg-prod"], 4, "lapse: "),
        (["ledger", "verify", "--checkpoint", "/nonexistent"], 2, "lapse: `/nonexistent` cannot be read"),
        (["review", "verify", "/nonexistent"], 4, "lapse: there is no `/nonexistent`"),
        (["serve", "--listen", "nowhere"], 2, "lapse: `nowhere` is not an address\n  hint: "),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_hint(program, words, code, said):
    ran = program.run(*words, expect=code)

    assert ran.out == ""
    assert ran.err.startswith(said)
    assert len(ran.err.splitlines()) <= 2


def test_without_a_command_there_is_help(program):
    assert program.run(expect=2).out.startswith("Usage: lapse [OPTIONS] COMMAND")
    assert program.run("grant", expect=2).out.startswith("Usage: lapse grant [OPTIONS] COMMAND")


def test_a_bug_is_one_sentence_until_details_are_asked_for(program, monkeypatch):
    monkeypatch.setattr("lapse.bootstrap.app.Keyring.open", lambda *_: 1 / 0)

    brief = program.run("grant", "list", expect=1)
    assert brief.err.startswith("lapse: something went wrong inside lapse (ZeroDivisionError)\n  hint: ")
    assert "Traceback" not in brief.err

    program.environment["LAPSE_DEBUG"] = "1"
    assert "Traceback" in program.run("grant", "list", expect=1).err


def test_options_that_all_commands_have_may_stand_anywhere(program):
    program.environment["LAPSE_HOME"] = "/nonexistent"
    home = str(program.home)

    assert program.run("--home", home, "--json", "grant", "list").data == []
    assert program.run("grant", "list", "--json", "--home", home).data == []


def test_a_reader_that_goes_away_is_no_bug(program):
    line = f"{sys.executable} -m lapse detector list | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)

    assert done.stdout.startswith("ID")
    assert done.stderr == ""


def test_a_shell_completes_commands_and_options(program):
    environment = {"_LAPSE_COMPLETE": "complete_bash", "COMP_WORDS": "lapse grant re", "COMP_CWORD": "2"}
    program.environment |= environment

    assert program.process(expect=None).out.split() == ["release", "revoke"]
