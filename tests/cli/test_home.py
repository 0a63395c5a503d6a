"""Setting up a home folder, its settings, and who works on it at the same time."""

from __future__ import annotations

import json
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from lapse.storage.instance_lock import acquire
from support.program import Program


def test_init_makes_a_folder_that_only_its_owner_can_read(tmp_path):
    program = Program(tmp_path / "home")

    said = program.run("init").out

    assert said.startswith(f"lapse is set up in {program.home}\n")
    assert "next:" in said
    assert _mode(program.home) == 0o700
    assert _mode(program.home / "token") == 0o600
    assert _mode(program.home / "lapse.db") == 0o600


def test_a_second_init_changes_nothing(program):
    before = {path.name: path.read_bytes() for path in program.home.iterdir() if path.is_file()}

    said = program.run("init", "--origin", "other.example/ledger").out

    assert said.endswith("is set up already; nothing was changed\n")
    after = {path.name: path.read_bytes() for path in program.home.iterdir() if path.is_file()}
    assert {name: after[name] for name in ("lapse.toml", "token")} == {
        name: before[name] for name in ("lapse.toml", "token")
    }


def test_a_store_url_from_elsewhere_is_kept_in_the_settings(tmp_path):
    program = Program(tmp_path / "home")

    program.run("init", "--store", f"sqlite:///{tmp_path / 'elsewhere.db'}", "--admin", "olga")

    assert (tmp_path / "elsewhere.db").exists()
    assert program.data("token", "list")[0]["principal"] == "olga"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("listn = 1", "there is no setting `listn`\n  hint: did you mean `listen`?"),
        ("listen = 1", "`listen` must be text in quotes"),
        ('listen = "everywhere"', "`everywhere` is not an address"),
        ('local_users = "yes"', "`local_users` must be true or false"),
        ('reconcile_every = "often"', "`often` is not a duration"),
        ('log_level = "loud"', "`log_level` must be one of debug, info, warning, error"),
        ("listen = [", "lapse.toml: "),
        ('store = "mysql://x"', "the store's URL names no file and no PostgreSQL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(program, line, said):
    settings = program.home / "lapse.toml"
    kept = [one for one in settings.read_text().splitlines() if not one.startswith(line.split()[0])]
    settings.write_text("\n".join([line, *kept]))

    assert said in program.run("grant", "list", expect=2).err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("postgresq = 1", "there is no setting `postgresq` in [gateway]\n  hint: did you mean `postgresql`?"),
        ("postgresql = 1", "`postgresql` in [gateway] must be text in quotes"),
        ('postgresql = "here"', "`postgresql` in [gateway]: `here` is not an address"),
        ('postgresql = "0.0.0.0:6432"', "would listen on `0.0.0.0` without a certificate"),
        ('drain = "soon"', "`soon` is not a duration"),
        ("workers = true", "`workers` in [gateway] must be a whole number"),
        ("workers = -1", "`workers` in [gateway] must be between 0 and 256"),
        ('certificate = "cert.pem"', "[gateway] needs both `certificate` and `key`, or neither"),
        ("require_tls = true", "`require_tls` in [gateway] needs `certificate` and `key`"),
        ('metrics = "9380"', "`metrics` in [gateway]: `9380` is not an address"),
    ],
)
def test_a_setting_of_the_gateway_that_cannot_be_used_is_named(program, line, said):
    settings = program.home / "lapse.toml"
    top, _, table = settings.read_text().partition("[gateway]\n")
    kept = [one for one in table.splitlines() if not one.startswith(line.split()[0] + " ")]
    settings.write_text("\n".join([top, "[gateway]", line, *kept]))

    assert said in program.run("grant", "list", expect=2).err


def test_gateway_without_a_table_is_no_setting(program):
    settings = program.home / "lapse.toml"
    settings.write_text("gateway = 1\n" + settings.read_text().partition("[gateway]")[0])

    assert "`gateway` must be a table, `[gateway]`" in program.run("grant", "list", expect=2).err


def test_settings_of_before_the_gateway_are_good_settings(program):
    settings = program.home / "lapse.toml"
    settings.write_text(settings.read_text().partition("[gateway]")[0])

    assert program.run("grant", "list").code == 0


def test_a_key_that_others_can_read_is_refused(program):
    (program.home / "keys" / "sealing.key").chmod(0o644)

    assert "may be read by others" in program.run("grant", "list", expect=3).err


def test_a_store_that_is_no_database_is_said_to_be_none(program):
    for name in ("lapse.db", "lapse.db-wal", "lapse.db-shm"):
        (program.home / name).unlink(missing_ok=True)
    (program.home / "lapse.db").write_bytes(b"this is not a database, but long enough to look at" * 100)

    ran = program.run("grant", "list", expect=1)
    assert ran.err.startswith("lapse: ")
    assert len(ran.err.splitlines()) <= 2


def test_commands_on_one_store_wait_for_one_another(program):
    with ThreadPoolExecutor(4) as pool:
        ran = list(pool.map(lambda n: program.process("token", "create", f"p{n}", "--scope", "request"), range(4)))

    assert all(one.out.startswith("lapse_") for one in ran)
    assert len(program.data("token", "list")) == 5


def test_a_command_that_waits_too_long_says_who_works_on_the_store(program, monkeypatch):
    monkeypatch.setattr("lapse.entrypoints.cli.session.WAIT_FOR_LOCK", 0.1)
    with acquire(program.home / "lock"):
        assert "already runs" in program.run("grant", "list", expect=3).err


def test_commands_use_the_server_that_runs(program):
    with program.serve() as server:
        assert program.data("version")["server"] == server.url
        program.run("token", "create", "alice", "--scope", "request")
        assert len(program.data("token", "list")) == 2
        assert "nothing ends on time" not in program.run("lock", "add", "everything", "-r", "drill", "-y").err


def test_a_second_server_on_the_same_home_is_refused(program):
    with program.serve():
        second = program.process("serve", expect=3)

    assert second.err.startswith(f"lapse: another server already runs on `{program.home}` (process ")


def test_two_homes_on_one_database_file_are_two_servers_on_it(tmp_path):
    one, other = Program(tmp_path / "one"), Program(tmp_path / "other")
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    one.run("init", "--store", store)
    shutil.copytree(one.home / "keys", other.home / "keys")
    other.run("init", "--store", store)

    with one.serve():
        assert other.process("serve", expect=3).err.startswith("lapse: another server already runs")


def test_a_store_of_another_home_is_refused_and_left_alone(tmp_path):
    one, other = Program(tmp_path / "one"), Program(tmp_path / "other")
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    one.run("init", "--store", store)

    refused = other.run("init", "--store", store, expect=3)

    assert refused.err.startswith("lapse: the store's ledger was sealed with another key")
    assert not (other.home / "lapse.toml").exists()
    assert len(one.data("token", "list")) == 1


def test_a_server_that_was_killed_is_not_used_and_another_can_start(program):
    server = program.serve()
    server.process.kill()
    server.stop()
    assert (program.home / "server.json").exists()

    assert program.data("version")["server"] is None
    assert program.data("grant", "list") == []
    with program.serve() as again:
        assert program.data("version")["server"] == again.url


def test_an_address_that_is_taken_is_said_to_be(program, tmp_path):
    other = Program(tmp_path / "other")
    other.run("init")
    with other.serve() as server:
        taken = server.url.removeprefix("http://")
        assert program.process("serve", "--listen", taken, expect=6).err.startswith(f"lapse: cannot listen on {taken}")


def test_a_server_ends_in_order_and_logs_without_secrets(program):
    with program.serve() as server:
        secret = program.data("token", "create", "alice", "--scope", "request")["secret"]
        assert server.stop() == 0

    lines = [json.loads(line) for line in server.log.splitlines()]
    assert lines[0]["event"] == "serving"
    assert [line["event"] for line in lines][-2:] == ["ending", "ended"]
    assert secret not in server.log
    assert not (program.home / "server.json").exists()


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)
