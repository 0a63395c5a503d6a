"""Who is let in, what is permitted, and how sessions end; strangers and hosts that mean harm."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes.authority import FakeAuthority
from lapse.domain.credentials import CredentialKind
from lapse.domain.sessions import SessionEnd
from lapse.gateway.context import Limits
from lapse.gateway.live import Ending
from lapse.ports import Cut, Upstream
from support.ssh_front import ssh_front


async def test_a_certificate_of_another_ca_is_nobodys(front):
    front.authority = FakeAuthority()
    front.allow()
    done = await front.ssh("web-1", "true")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr
    assert front.plane.sessions == {}


async def test_a_certificate_whose_credential_is_dead_is_refused(front):
    front.plane.allowed.clear()
    done = await front.ssh("web-1", "true")
    assert b"Permission denied" in done.stderr


async def test_a_certificate_is_for_its_person_and_its_resource(front):
    for user in ("bob%web-1", "alice%web-2", "alice%pg-prod%x%y"):
        done = await front.ssh("-o", f"User={user}", "web-1", "true")
        assert b"Permission denied" in done.stderr, user


async def test_a_token_is_a_password(front):
    secret = "a-token"
    made = front.permit(
        "alice.web-1.k3j4h5g6", kind=CredentialKind.TOKEN, verifier=hashlib.sha256(secret.encode()).hexdigest(),
        upstream=next(iter(front.plane.allowed.values())).upstream,
    )  # fmt: skip
    askpass = front.folder / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {secret}\n")
    askpass.chmod(0o700)
    front.environment = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    words = ["-o", "BatchMode=no", "-o", "PreferredAuthentications=password", "-o", f"User={made.credential.login}"]
    done = await front.ssh(*words, "web-1", "echo in")
    assert done.stdout == b"in\n", done.stderr
    askpass.write_text("#!/bin/sh\necho wrong\n")
    done = await front.ssh(*words, "-o", "NumberOfPasswordPrompts=1", "web-1", "true")
    assert b"Permission denied" in done.stderr


async def test_without_a_session_nothing_is_opened_on_the_host_and_why_is_told(front):
    next(iter(front.plane.allowed.values())).refused = "`alice` has 50 sessions there"
    done = await front.ssh("web-1", "true")
    assert b"`alice` has 50 sessions there" in done.stderr


async def test_a_host_that_is_away_or_shows_another_key_is_not_used(front):
    user, keys = front.sshd.user, front.sshd.host_key
    front.allow(upstream=Upstream(host="127.0.0.1", port=1, user=user, parameters={"host_keys": keys}))
    assert b"is not reached" in (await front.ssh("web-1", "true")).stderr
    other = front.authority.ssh_public_key
    front.allow(upstream=Upstream(host="127.0.0.1", port=front.sshd.port, user=user, parameters={"host_keys": other}))
    assert b"nobody vouches for" in (await front.ssh("web-1", "true")).stderr
    assert {one.end_reason for one in await front.over(2)} == {SessionEnd.FAILED}


@pytest.mark.parametrize(
    ("permit", "arguments", "allowed"),
    [
        ("exec", ["web-1", "true"], True),
        ("shell", ["web-1", "true"], False),
        ("sftp", ["web-1", "true"], False),
        ("sftp", ["-s", "web-1", "sftp"], True),
        ("exec", ["-s", "web-1", "sftp"], False),
        ("rsync", ["web-1", "sh -c id"], False),
    ],
)
async def test_what_is_not_permitted_never_reaches_the_host(front, permit, arguments, allowed):
    front.allow(permit)
    done = await front.ssh(*arguments)
    assert (done.returncode == 0) == allowed, done.stderr


async def test_a_revoked_session_is_cut_and_told_why(front):
    running = asyncio.create_task(front.ssh("web-1", "echo begun; sleep 60"))
    (session,) = await until_open(front)
    front.gateway.follow(Cut(session_id=session.id, reason=SessionEnd.REVOKED, by="bob"))
    done = await asyncio.wait_for(running, 15)
    assert done.returncode == 255
    assert b"your access was revoked by bob" in done.stderr
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.REVOKED


async def test_at_the_deadline_the_session_is_cut_and_not_before(front):
    allowed = front.allow(life=timedelta(seconds=3))
    done = await asyncio.wait_for(front.ssh("web-1", "sleep 60"), 20)
    assert datetime.now(UTC) >= allowed.credential.expires_at
    assert b"your access has reached its end" in done.stderr
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.ELAPSED


async def test_a_connection_that_asks_for_nothing_ends_with_its_credential_too(front):
    front.allow(life=timedelta(seconds=2))
    done = await asyncio.wait_for(front.ssh("-N", "web-1"), 20)
    assert done.returncode == 255
    assert front.plane.sessions == {}


async def test_a_jump_is_used_by_the_person_who_made_it(front):
    proxy = f"ProxyCommand=ssh -F {front.folder}/config -W web-1:22 gateway"
    for allowed in front.plane.allowed.values():
        allowed.credential = replace(allowed.credential, granted_to="alice")
    done = await front.ssh("-o", proxy, "-o", "HostKeyAlias=inner", "-o", "User=whoever", "inner", "echo in")
    assert done.stdout == b"in\n", done.stderr
    for allowed in front.plane.allowed.values():
        allowed.credential = replace(allowed.credential, granted_to="bob")
    done = await front.ssh("-o", proxy, "-o", "HostKeyAlias=inner", "-o", "User=whoever", "inner", "echo in")
    assert done.returncode == 255


async def test_whoever_sits_at_a_terminal_is_warned(front):
    running = asyncio.create_task(front.ssh("-tt", "web-1", "sleep 2", stdin=b""))
    await until_open(front)
    while not (live := list(front.gateway.live)) or live[0].counting is None or not live[0].so_far.statements:
        await asyncio.sleep(0.02)
    live[0].on_warning(Ending(timedelta(minutes=2)))
    assert b"your access ends in 2m" in (await running).stdout


async def test_a_recording_that_fails_ends_the_session(front):
    running = asyncio.create_task(front.ssh("web-1", "while :; do echo y; sleep 0.05; done"))
    await until_open(front)
    await asyncio.sleep(0.3)
    front.gateway.recorder.full = True
    await asyncio.wait_for(running, 15)
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.NOT_RECORDED


async def until_open(front):
    async with asyncio.timeout(15):
        while not front.plane.open or not next(iter(front.gateway.live), None):
            await asyncio.sleep(0.02)
    return front.plane.open


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.0\r\n\r\n", b"SSH-1.5-old\r\n", b"SSH-2.0-x\r\n" + bytes(40_000)])
async def test_noise_costs_a_connection_and_nobody_else_anything(front, noise):
    reader, writer = await asyncio.open_connection(front.host, front.port)
    writer.write(noise)
    async with asyncio.timeout(15):
        while await reader.read(10_000):
            pass
    writer.close()
    assert (await front.ssh("web-1", "echo ok")).stdout == b"ok\n"


async def test_strangers_keep_nobody_out(tmp_path, sshd, authority):
    limits = Limits(unauthenticated=50, unauthenticated_per_address=2_000)
    (tmp_path / "client").mkdir()
    async with ssh_front(tmp_path / "client", sshd, authority, limits=limits) as front:
        front.allow()
        strangers = [await asyncio.open_connection(front.host, front.port) for _ in range(500)]
        assert (await front.ssh("web-1", "echo ok")).stdout == b"ok\n"
        for _, writer in strangers:
            writer.close()
