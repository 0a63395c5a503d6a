"""Tunnels and lent agents: only where the entitlement says so, counted, and gone with the session."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest

from lapse.gateway.recording import FrameKind
from support.ports import free_port


@asynccontextmanager
async def greeting(text):
    """A port at which everybody is greeted."""

    async def greet(_reader, writer):
        writer.write(text)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def tunnels(front):
    """What the recordings say of tunnels, once a session is over."""
    await front.over()
    recordings = front.gateway.recorder.recordings.values()
    return [json.loads(data) for one in recordings for kind, data in one.frames if kind is FrameKind.TUNNEL]


async def test_the_host_connects_for_the_client_where_that_is_permitted(front):
    async with greeting(b"hello from afar") as there:
        refused = await front.ssh("-W", f"127.0.0.1:{there}", "web-1")
        assert b"hello" not in refused.stdout
        front.allow("exec forward-local")
        done = await front.ssh("-W", f"127.0.0.1:{there}", "web-1")
    assert done.stdout == b"hello from afar", done.stderr


async def test_the_host_listens_for_nobody_without_a_permit(front):
    front.allow("exec forward-local agent")
    done = await front.ssh("-R", "0:127.0.0.1:9", "-o", "ExitOnForwardFailure=yes", "web-1", "true")
    assert done.returncode == 255


REMOTE = "exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3"


async def test_the_host_listens_for_the_client_where_that_is_permitted(front):
    front.allow("exec forward-remote")
    port = free_port()
    async with greeting(b"hello from here") as here:
        done = await front.ssh("-R", f"{port}:127.0.0.1:{here}", "web-1", f"bash -c '{REMOTE.format(port=port)}'")
    assert done.stdout == b"hello from here", done.stderr
    said = await tunnels(front)
    assert [one["event"] for one in said] == ["listening", "open", "close"]
    assert said[0]["at"] == f"localhost:{port}"
    assert said[2]["bytes_in"] + said[2]["bytes_out"] == len("hello from here")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


async def test_the_host_chooses_the_port_if_the_client_names_none(front):
    front.allow("exec forward-remote")
    async with greeting(b"hello") as here:
        done = await front.ssh("-v", "-R", f"0:127.0.0.1:{here}", "web-1", "true")
    assert b"Allocated port" in done.stderr
    assert b"Allocated port 0 " not in done.stderr


async def test_an_address_that_is_taken_is_refused_as_sshd_does(front):
    front.allow("exec forward-remote")
    async with greeting(b"hello") as here:
        done = await front.ssh(
            "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{here}:127.0.0.1:{here}", "web-1", "true"
        )
    assert done.returncode == 255
    assert b"remote port forwarding failed" in done.stderr


@pytest.fixture
async def agent(front):
    """An agent of the client's with one key, whose comment is `my-own`."""
    path = front.folder / "agent"
    process = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", str(path), stdout=asyncio.subprocess.PIPE)
    await process.stdout.readline()
    front.environment["SSH_AUTH_SOCK"] = str(path)
    await front.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "my-own", "-f", str(front.folder / "own"))
    added = await front.run("ssh-add", str(front.folder / "own"))
    assert added.returncode == 0, added.stderr
    yield path
    process.terminate()
    await process.wait()


async def test_a_client_lends_the_host_its_agent_where_that_is_permitted(front, agent):
    front.allow("exec agent")
    lent = ["-A", "web-1", "ssh-add -l"]
    done = await front.ssh(*lent)
    assert b"my-own" in done.stdout, done.stderr
    said = await tunnels(front)
    assert [(one["kind"], one["event"]) for one in said] == [("agent", "open"), ("agent", "close")]
    assert said[1]["bytes_in"] > len("my-own")
    (session,) = await front.over()
    assert session.use.kinds == {"agent": 1, "exec": 1}
    not_lent = await front.ssh("web-1", "ssh-add -l")
    assert b"my-own" not in not_lent.stdout
    assert not_lent.returncode != 0


async def test_an_agent_is_lent_to_nobody_without_a_permit(front, agent):
    front.allow("exec")
    done = await front.ssh("-A", "web-1", "ssh-add -l; echo $SSH_AUTH_SOCK")
    assert b"my-own" not in done.stdout
    assert done.stdout.strip() == b""
    assert [one["event"] for one in await tunnels(front)] == ["refused"]
