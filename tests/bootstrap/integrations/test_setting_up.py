"""Everything that `integrations.yaml` can say is made, or said to be broken; secrets stay secret."""

from __future__ import annotations

import pytest

from lapse.bootstrap.integrations.secrets import read_secret
from lapse.bootstrap.integrations.setting_up import set_up
from lapse.bootstrap.integrations.settings import SecretKind, SecretRef
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Corrupt, InvalidInput, LapseError, Unavailable
from lapse.domain.requests import Ticket
from support.clock import HandClock

SETTINGS = """\
version: 1
tickets:
  - {name: jira, kind: jira, url: "https://jira.example", auth: {user: a, password: {env: INT_PASSWORD}}}
  - {name: infra, kind: github, repository: a/b, auth: {bearer: {file: token}}}
  - {name: snow, kind: http, url: "https://s/{number}", state: /s, open: [x], headers: {X-Key: {sealed: abc}, Y: z}}
  - {name: old, kind: export, file: tickets.csv, open: [x]}
rotas:
  - {name: shifts, kind: shifts, file: rota.yaml}
  - {name: feed, kind: calendar, url: {env: INT_URL}}
  - {name: local, kind: calendar, file: rota.ics}
  - {name: web, kind: web, url: "https://o/"}
notices:
  - {name: chat, kind: chat, url: {env: INT_URL}}
  - {name: siem, kind: webhook, url: "https://s/", key: {env: INT_PASSWORD}}
  - {name: mail, kind: mail, server: "[::1]:25", from: l@example.com, auth: {user: a, password: {env: INT_PASSWORD}}}
"""


def unseal(text):
    if text != "abc":
        raise Corrupt("a sealed secret cannot be opened with this installation's key")
    return "s3aled"


async def made(folder, text=SETTINGS):
    async def catalog():
        return Catalog()

    (folder / "integrations.yaml").write_text(text)
    return set_up(folder, unseal, HandClock(), catalog)


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("INT_PASSWORD", "hunter2")
    monkeypatch.setenv("INT_URL", "https://hooks.example/T0P/S3CRET")
    (tmp_path / "token").write_text("gh_t0ken\n")
    return tmp_path


async def test_everything_is_set_up(secrets):
    found = await made(secrets)
    assert found.problems == ()
    assert found.tickets.systems == ("infra", "jira", "old", "snow")
    assert found.rotas.names == ("feed", "local", "shifts", "web")
    assert [way.name for way in found.ways] == ["chat", "siem", "mail"]
    for secret in ("hunter2", "S3CRET", "gh_t0ken", "s3aled"):
        assert secret not in repr(found)
    await found.close()


async def test_what_cannot_be_set_up_is_named_and_the_rest_works(tmp_path, monkeypatch):
    monkeypatch.delenv("INT_PASSWORD", raising=False)
    monkeypatch.setenv("INT_URL", "ftp://ann:hunter2@hooks.example/")
    found = await made(tmp_path, SETTINGS.replace("{sealed: abc}", "{sealed: abd}"))
    assert set(found.broken) == {
        ("tickets", "jira"), ("tickets", "infra"), ("tickets", "snow"), ("rotas", "feed"),
        ("notices", "chat"), ("notices", "siem"), ("notices", "mail"),
    }  # fmt: skip
    assert not any("hunter2" in problem for problem in found.problems)
    assert (await found.tickets.look_up(Ticket(system="jira", number="OPS-1"))).status == "unreachable"
    assert (await found.tickets.look_up(Ticket(system="bugs", number="1"))).status == "unknown"
    with pytest.raises(Unavailable, match="`feed` cannot be used"):
        await found.rotas.on_call("feed", HandClock().now())
    await found.close()


async def test_a_file_that_cannot_be_read_is_a_mistake_and_no_error(tmp_path):
    (tmp_path / "integrations.yaml").mkdir()
    found = set_up(tmp_path, unseal, HandClock(), None)
    assert "cannot be read" in found.problems[0]
    (tmp_path / "integrations.yaml").rmdir()
    (tmp_path / "integrations.yaml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in set_up(tmp_path, unseal, HandClock(), None).problems[0]


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        (SecretRef(SecretKind.ENV, "INT_NOT_SET"), Unavailable),
        (SecretRef(SecretKind.FILE, "not-there"), Unavailable),
        (SecretRef(SecretKind.FILE, "binary"), Unavailable),
        (SecretRef(SecretKind.FILE, "long"), InvalidInput),
        (SecretRef(SecretKind.FILE, "lines"), InvalidInput),
        (SecretRef(SecretKind.FILE, "empty"), InvalidInput),
        (SecretRef(SecretKind.SEALED, "nonsense"), Corrupt),
    ],
)
def test_what_can_be_no_secret(tmp_path, monkeypatch, secret, error):
    monkeypatch.delenv("INT_NOT_SET", raising=False)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 5_000)
    (tmp_path / "lines").write_text("top\nsecret")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(error) as raised:
        read_secret(secret, tmp_path, unseal)
    assert isinstance(raised.value, LapseError)
    assert "secret\n" not in raised.value.message


def test_a_file_elsewhere_is_named_by_its_whole_path(tmp_path):
    (tmp_path / "token").write_text(" s3cret \n")
    assert read_secret(SecretRef(SecretKind.FILE, str(tmp_path / "token")), tmp_path / "home", unseal) == "s3cret"
