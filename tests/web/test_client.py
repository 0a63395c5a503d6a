"""Calls stay within time, size and host, whatever the other side does."""

from __future__ import annotations

import ssl

import pytest
import trustme

from lapse.domain.errors import Unavailable
from lapse.web.client import Calling, WebClient
from support.web_server import Reply, web_server


@pytest.fixture
async def server():
    async with web_server() as server:
        yield server


@pytest.fixture
async def client():
    client = WebClient(Calling(seconds=20.0, largest=10_000, headers={"Authorization": "Bearer s3cret"}))
    yield client
    await client.close()


async def refused(client, url, why):
    with pytest.raises(Unavailable, match=why) as raised:
        await client.get(url)
    assert "s3cret" not in raised.value.message


async def test_an_answer_comes_with_its_status_and_body(server, client):
    server.always(418, b"short and stout")
    answer = await client.get(server.url + "/pot")
    assert (answer.status, answer.body) == (418, b"short and stout")
    assert server.asked[0].headers["authorization"] == "Bearer s3cret"
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_a_server_that_never_answers(server):
    server.always(behaviour="never")
    client = WebClient(Calling(seconds=0.2))
    await refused(client, server.url, "no answer within 0.2 seconds")
    await client.close()


async def test_a_server_that_answers_gigabytes(server, client):
    server.always(behaviour="endless")
    await refused(client, server.url, "more than 9 KiB")


async def test_a_server_that_answers_nonsense(server, client):
    server.always(behaviour="nonsense")
    await refused(client, server.url, "cannot be reached")


async def test_a_server_that_hangs_up(server, client):
    server.always(behaviour="hang_up")
    await refused(client, server.url, "cannot be reached")


async def test_a_server_that_is_not_there(client):
    await refused(client, "http://127.0.0.1:1/", "cannot be reached")


async def test_an_answer_that_would_unfold(server, client):
    server.always(200, b"x", headers={"Content-Encoding": "gzip"})
    await refused(client, server.url, "encoding that was not asked for")


async def test_a_redirect_on_the_same_host_is_followed(server, client):
    server.answer = lambda asked: (
        Reply(301, headers={"Location": "/there"}) if asked.target == "/here" else Reply(200, b"found")
    )
    assert (await client.get(server.url + "/here")).body == b"found"


@pytest.mark.parametrize(
    "location", ["http://127.0.0.2:1/", "https://evil.example/", "//evil.example/x", "file:///etc/passwd", ""]
)
async def test_a_redirect_elsewhere_is_not_followed(server, client, location):
    server.always(302, headers={"Location": location} if location else {})
    await refused(client, server.url, "leads elsewhere")
    assert len(server.asked) == 1


async def test_a_circle_of_redirects_ends(server, client):
    server.always(302, headers={"Location": "/again"})
    await refused(client, server.url, "leads in a circle")


async def test_what_is_posted_is_never_sent_on(server, client):
    server.always(307, headers={"Location": "/again"})
    with pytest.raises(Unavailable, match="leads elsewhere"):
        await client.post(server.url, b"{}", {})
    assert len(server.asked) == 1


async def test_proxies_and_netrc_of_the_environment_decide_nothing(server, client, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login eve password eve\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.always(200, b"direct")
    assert (await client.get(server.url)).body == b"direct"


async def test_a_certificate_must_be_trusted(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with web_server(context) as server:
        server.always(200, b"secret")
        stranger, friend = WebClient(Calling()), WebClient(Calling(ca_file=str(tmp_path / "ca.pem")))
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await stranger.get(server.url)
        assert (await friend.get(server.url)).body == b"secret"
        await stranger.close()
        await friend.close()


async def test_a_file_of_authorities_that_is_not_there():
    client = WebClient(Calling(ca_file="/nowhere/ca.pem"))
    with pytest.raises(Unavailable, match="authorities"):
        await client.get("https://localhost:1/")
