"""`integrations.yaml`: what it can say, and how it says what is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from lapse.bootstrap.integrations.language import integrations_schema, read_integrations, schema_text
from lapse.bootstrap.integrations.settings import IntegrationSettings, SecretKind
from lapse.domain.notices import NoticeKind
from lapse.policy.problems import PolicyErrors

DOCS = Path(__file__).parents[3] / "docs"
WHOLE = """\
version: 1
tickets:
  - name: jira
    kind: jira
    url: https://acme.atlassian.net
    auth: {user: lapse@acme.example, password: {env: JIRA_TOKEN}}
  - name: github
    kind: github
    repository: acme/infra
    auth: {bearer: {file: github.token}}
  - name: snow
    kind: http
    url: "https://snow.acme.example/api/incident/{number}?fields=state"
    state: /result/state
    open: ["1", "2", In Progress]
    numbers: key
    keep_for: 2m
    headers: {X-Key: {sealed: abc}, X-Plain: words}
  - name: old
    kind: export
    file: tickets.csv
    open: [Open]
    columns: {number: Key, state: Status}
    oldest: 12h
rotas:
  - {name: database, kind: shifts, file: rotas/database.yaml}
  - name: network
    kind: calendar
    url: {env: CALENDAR_URL}
    timezone: Europe/Berlin
    prefix: "On call: "
    people: {Ann Example: ann}
  - {name: web, kind: web, url: "https://oncall.example/api?at={at}", list: /oncalls, names: [/user/email]}
notices:
  - {name: chat, kind: chat, url: {env: CHAT_URL}, kinds: [break_glass]}
  - {name: siem, kind: webhook, url: "https://siem.example/hook", key: {env: SIEM_KEY}}
  - {name: mail, kind: mail, server: "smtp.example.com:587", from: lapse@example.com, also_to: [sec@example.com]}
give_up_after: 2d
"""


def test_everything_that_can_be_said():
    found = read_integrations("integrations.yaml", WHOLE)
    jira, github, snow, old = found.tickets
    assert jira.source.url.text.startswith("https://acme.atlassian.net/rest/api/2/issue/{number}?")
    assert jira.web.auth.password.kind is SecretKind.ENV
    assert github.source.url.text == "https://api.github.com/repos/acme/infra/issues/{number}"
    assert snow.source.open_states == {"1", "2", "in progress"}
    assert snow.keep_for == timedelta(minutes=2)
    assert (old.source.columns.number, old.source.oldest) == ("Key", timedelta(hours=12))
    assert [rota.name for rota in found.rotas] == ["database", "network", "web"]
    assert found.ways[0].kinds == {NoticeKind.BREAK_GLASS}
    assert found.give_up_after == timedelta(days=2)


def test_an_empty_file_says_nothing():
    assert read_integrations("f", "") == IntegrationSettings()
    assert read_integrations("f", "version: 1\n") == IntegrationSettings()


def test_where_a_secret_is_does_not_show_in_a_traceback():
    assert "JIRA_TOKEN" not in repr(read_integrations("f", WHOLE))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tickets: []", "f:1:1: the key `version` is missing in the file of integrations"),
        (
            "version: 1\nticket: []",
            "f:2:1: there is no key `ticket` in the file of integrations (did you mean `tickets`?)",
        ),
        ("version: 1\ntickets: [{name: jira}]", "f:2:11: the key `kind` is missing in a ticket system"),
        ("version: 1\ntickets: [{kind: jirra}]", "f:2:18: `jirra` is no kind of ticket system (did you mean `jira`?)"),
        ("version: 1\ntickets: [{kind: jira, name: J, url: https://x}]", "f:2:30: `J` is not a name"),
        ("version: 1\ntickets: [{kind: jira, name: j, url: http://x}]", "f:2:38: `http://x` is called without TLS"),
        (
            "version: 1\ntickets: [{kind: http, name: j, url: 'https://x/', state: /s, open: [a]}]",
            "f:2:38: the URL does not say which ticket (write `{number}` in it)",
        ),
        (
            "version: 1\ntickets: [{kind: http, name: j, url: 'https://{number}/', state: /s, open: [a]}]",
            "f:2:38: what is looked up must not choose the host",
        ),
        (
            "version: 1\ntickets: [{kind: github, name: j, repository: '../x'}]",
            "f:2:47: `../x` is not a repository (write it as `owner/name`)",
        ),
        (
            "version: 1\ntickets: [{kind: jira, name: j, url: https://x, auth: {user: a}}]",
            "f:2:55: `user` and `password` belong together",
        ),
        (
            "version: 1\ntickets: [{kind: jira, name: j, url: https://x, auth: {bearer: {env: A, file: b}}}]",
            "f:2:64: a secret is in one place (give one of `env`, `file` and `sealed`)",
        ),
        (
            "version: 1\ntickets: [{kind: jira, name: j, url: https://x, headers: {Host: evil}}]",
            "f:2:58: `Host` is not a header that can be set",
        ),
        ("version: 1\nrotas: [{kind: calendar, name: r}]", "f:2:9: a calendar is in one place (give `file` or `url`)"),
        (
            "version: 1\nrotas: [{kind: calendar, name: r, file: x, timezone: Europe/Berln}]",
            "f:2:54: `Europe/Berln` is not a time zone (did you mean `Europe/Berlin`?)",
        ),
        (
            "version: 1\nrotas: [{kind: shifts, name: r, file: x}, {kind: shifts, name: r, file: y}]",
            "f:2:8: the name `r` is used twice in `rotas` (rename one)",
        ),
        (
            "version: 1\nnotices: [{kind: mail, name: m, server: smtp, from: a@b.c}]",
            "f:2:41: `smtp` is not a mail server (write it as `smtp.example.com:587`)",
        ),
        (
            "version: 1\nnotices: [{kind: webhook, name: h, url: https://x, kinds: [birthday]}]",
            "f:2:60: `birthday` is not a kind of notice",
        ),
        (
            "version: 1\ntickets: [{kind: jira, name: j, url: https://x, auth: {bearer: {env: 1st}}}]",
            "f:2:70: `1st` is not the name of a variable",
        ),
        (
            "version: 1\ntickets: [{kind: jira, name: j, url: https://x, headers: [a]}]",
            "f:2:58: headers are written as `key: value` lines",
        ),
        (
            'version: 1\nrotas: [{kind: shifts, name: r, file: "a\\nb"}]',
            "f:2:39: this must be one printable line",
        ),
        ("version: 1\nrotas: [shifts]", "f:2:9: a rota is written as `key: value` lines"),
        (
            "version: 1\nnotices: [{kind: mail, name: m, server: 's:1', from: a@b.c, auth: {bearer: {env: A}}}]",
            "f:2:67: a mail server takes a `user` with a `password`",
        ),
        ("version: 1\nnotices: &a [*a]", "anchors and aliases"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, problem):
    with pytest.raises(PolicyErrors) as raised:
        read_integrations("f", text)
    assert any(problem in str(one) for one in raised.value.problems), [str(one) for one in raised.value.problems]


def test_a_password_in_a_url_is_not_repeated():
    with pytest.raises(PolicyErrors) as raised:
        read_integrations("f", "version: 1\nnotices: [{kind: chat, name: c, url: 'ftp://ann:hunter2@x/'}]")
    assert "hunter2" not in str(raised.value)


def test_the_schema_is_valid_and_takes_what_is_taken():
    schema = integrations_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(YAML(typ="safe").load(WHOLE))


def test_the_published_schema_is_the_one_in_the_code():
    assert (DOCS / "integrations.schema.json").read_text() == schema_text()
    assert json.loads(schema_text())["title"] == "lapse integrations"


@given(st.text(max_size=300) | st.text(alphabet="{}[]:,-# \nabktvnkirow&*!|>'\"0123", max_size=200))
def test_any_text_is_settings_or_an_expected_error(text):
    with suppress(PolicyErrors):
        read_integrations("f", text)
