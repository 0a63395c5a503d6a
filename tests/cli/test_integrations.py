"""Integrations as an operator meets them: set up in one file, tried out, and used by a request and its approval."""

from __future__ import annotations

import json

import pytest

from support.web_server import Reply, web_server_beside

CATALOG = """
principals:
  - {name: alice, email: alice@example.com}
  - {name: bob, email: bob@example.com}
  - {name: admin, email: admin@example.com}
resources:
  - name: pg-prod
    connector: postgresql
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""
ROTA = """\
version: 1
timezone: Europe/Berlin
layers:
  - {people: [bob], starts: 2026-01-05, hand_over: "09:00", days: 1}
overrides:
  - {who: nobody, from: 2027-12-24T00:00, to: 2027-12-27T00:00}
"""
SETTINGS = """\
version: 1
tickets:
  - {{name: jira, kind: jira, url: "{url}", auth: {{bearer: {{env: JIRA_TOKEN}}}}}}
  - {{name: old, kind: export, file: tickets.csv, open: [open]}}
rotas:
  - {{name: database, kind: shifts, file: database.yaml}}
notices:
  - {{name: chat, kind: chat, url: "{url}/chat"}}
"""


def answer(asked):
    if asked.target.startswith("/rest/api/2/issue/OPS-7?"):
        status = {"name": "In Progress", "statusCategory": {"key": "indeterminate"}}
        fields = {"status": status, "summary": "Disk full", "assignee": {"displayName": "Ann"}}
        return Reply(200, {"key": "OPS-7", "fields": fields})
    return Reply(200, b"ok") if asked.target == "/chat" else Reply(404, {})


@pytest.fixture
def server():
    with web_server_beside() as server:
        server.answer = answer
        yield server


@pytest.fixture
def set_up(program, server):
    program.environment["JIRA_TOKEN"] = "t0ken"
    (program.home / "integrations.yaml").write_text(SETTINGS.format(url=server.url))
    (program.home / "database.yaml").write_text(ROTA)
    (program.home / "tickets.csv").write_text("number,state\n1,open\n2\n")
    path = program.home / "catalog.yaml"
    path.write_text(CATALOG)
    program.run("catalog", "apply", str(path), "--yes")
    return program


def test_without_a_file_nothing_is_set_up_and_it_says_where(program):
    assert "`integrations.yaml` in the home folder" in program.run("integration", "list").out
    assert "nobody was told anything yet" in program.run("notice", "list").out
    assert program.run("rota", "show", "database", expect=4).err.startswith("lapse: there is no rota `database`")
    assert program.data("ticket", "show", "jira", "OPS-7")["status"] == "unknown"


def test_what_is_set_up_is_listed_and_tried_out(set_up, server):
    assert [one["name"] for one in set_up.data("integration", "list")] == ["jira", "old", "database", "chat"]
    done = set_up.run("integration", "check", "--ticket", "jira:OPS-7", "--send")
    assert "`OPS-7` is open (`In Progress`)" in done.out
    assert "1 ticket, 1 row unusable (the first is row 2)" in done.out
    assert "on call now: bob" in done.out
    assert "sent to chat" in done.out
    assert "t0ken" not in done.out + done.err
    told = [asked.json["text"] for asked in server.asked if asked.target == "/chat"]
    assert "A test of lapse's notices" in told[0]


def test_what_does_not_work_is_said_and_the_exit_code_tells(set_up, server):
    server.always(500, b"")
    (set_up.home / "tickets.csv").unlink()
    done = set_up.run("integration", "check", "--ticket", "jira:OPS-7", "--send", expect=6)
    assert "it answers with status 500" in done.out
    assert "the export `tickets.csv` cannot be read" in done.out
    assert "`chat` answers with status 500" in done.out
    assert "3 of 4 integrations do not work" in done.err


def test_a_ticket_is_shown_as_its_system_knows_it(set_up, server):
    done = set_up.run("ticket", "show", "jira", "OPS-7")
    assert [word in done.out for word in ("open", "`In Progress`", "Disk full", "Ann")] == [True] * 4
    assert server.asked[0].headers["authorization"] == "Bearer t0ken"
    assert set_up.data("ticket", "show", "jira", "../../secret")["status"] == "unknown"


def test_who_is_on_call_is_shown_now_and_at_another_time(set_up):
    assert set_up.run("rota", "show", "database").out.endswith(": bob\n")
    assert set_up.data("rota", "show", "database", "--at", "2027-12-25T12:00:00Z")["on_call"] == []
    assert "nobody" in set_up.run("rota", "show", "database", "--at", "2027-12-25T12:00:00Z").out


def test_a_rota_with_a_mistake_is_nobody_and_says_where(set_up):
    (set_up.home / "database.yaml").write_text(ROTA.replace("people: [bob]", "peple: [bob]"))
    assert "database.yaml:4:6: there is no key `peple`" in set_up.run("rota", "show", "database", expect=6).err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nrotas: [{kind: shift, name: r}]", "integrations.yaml:2:16: `shift` is no kind of rota"),
        ("version: 1\ntickets: [", "integrations.yaml:2:11: this is not YAML"),
        ("\0", "integrations.yaml:1:1: this is not YAML: it cannot be read"),
    ],
)
def test_a_mistake_in_the_file_stops_nothing_but_integrations(set_up, text, said):
    (set_up.home / "integrations.yaml").write_text(text)
    assert set_up.run("grant", "list").code == 0
    assert said in set_up.run("integration", "check", expect=6).out
    assert said in set_up.run("integration", "list").out
    assert set_up.data("ticket", "show", "jira", "OPS-7")["status"] == "unreachable"
    assert "has a mistake" in set_up.run("rota", "show", "database", expect=6).err


def test_a_secret_that_is_not_there_breaks_one_integration(set_up):
    del set_up.environment["JIRA_TOKEN"]
    rows = {one["name"]: one["problem"] for one in set_up.data("integration", "list")}
    assert rows["jira"] == "the environment variable `JIRA_TOKEN` is not set for this process"
    assert not rows["database"]
    assert set_up.data("ticket", "show", "jira", "OPS-7")["status"] == "unreachable"


def test_a_sealed_secret_opens_here_and_nowhere_else(set_up, server, tmp_path):
    sealed = set_up.run("integration", "seal", stdin="t0ken\n").out.strip()
    text = SETTINGS.format(url=server.url).replace("{env: JIRA_TOKEN}", f"{{sealed: {sealed}}}")
    (set_up.home / "integrations.yaml").write_text(text)
    assert set_up.data("ticket", "show", "jira", "OPS-7")["status"] == "open"
    (set_up.home / "integrations.yaml").write_text(text.replace(sealed, sealed[:-6] + "AAAA=="))
    assert "cannot be opened" in set_up.data("ticket", "show", "jira", "OPS-7")["detail"]


def test_the_outbox_is_listed_by_state(set_up):
    assert set_up.data("notice", "list", "--state", "failed") == []
    assert "there are no such notices" in set_up.run("notice", "list", "--state", "failed").out
    assert set_up.run("notice", "list", "--state", "lost", expect=2).err.startswith("lapse: the query is not right")
    assert set_up.run("notice", "retry", "not_1", expect=4).err.startswith("lapse: there is no notice `not_1`")


def test_a_server_reads_rotas_ahead_and_says_in_its_log_what_is_not_set_up(set_up):
    del set_up.environment["JIRA_TOKEN"]
    with set_up.serve() as serving:
        assert set_up.data("rota", "show", "database")["on_call"] == ["bob"]
    lines = [json.loads(line) for line in serving.log.splitlines() if line.startswith("{")]
    (said,) = [line["reason"] for line in lines if line["event"] == "integration not set up"]
    assert (
        said == "`jira` in `tickets` cannot be used: the environment variable `JIRA_TOKEN` is not set for this process"
    )


def test_what_the_policy_names_and_nobody_set_up_is_said(set_up, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\n"
        "offers:\n"
        "  - name: a\n"
        "    entitlements: '*/*'\n"
        "    to: anyone\n"
        "    max_duration: 1h\n"
        "    ticket: {systems: [jira, bugs], checked: true}\n"
        "    approvals: [{from: ['oncall:database'], escalate: [{after: 5m, to: ['oncall:network']}]}]\n"
    )
    set_up.run("policy", "apply", str(policy))
    rows = set_up.data("integration", "check", expect=6)
    missing = [(one["part"], one["name"]) for one in rows if "not set up" in one["detail"]]
    assert missing == [("rotas", "network"), ("tickets", "bugs")]


def test_the_check_says_what_it_cannot_do(set_up, server):
    assert "no ticket system `bugs`" in set_up.run("integration", "check", "--ticket", "bugs:1", expect=4).err
    assert "write it as `jira:OPS-7`" in set_up.run("integration", "check", "--ticket", "OPS-7", expect=2).err
    (set_up.home / "database.yaml").write_text(ROTA.replace("[bob]", "[stranger]"))
    settings = SETTINGS.format(url=server.url)
    settings += "  - {name: post, kind: mail, server: '127.0.0.1:1', from: l@example.com}\n"
    settings += "  - {name: siem, kind: webhook, url: {env: NOT_SET}}\n"
    (set_up.home / "integrations.yaml").write_text(settings)
    rows = {one["name"]: one["detail"] for one in set_up.data("integration", "check", "--send", expect=6)}
    assert rows["database"] == "on call now: nobody; not in the catalog: stranger"
    assert "the mail server 127.0.0.1:1 did not take it" in rows["post"]
    assert rows["siem"] == "the environment variable `NOT_SET` is not set for this process"
