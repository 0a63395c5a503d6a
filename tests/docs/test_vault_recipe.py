"""The recipe for Vault, against a server on this machine that answers as Vault's API documentation says."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "vault" / "password.py"
ANSWERS = {
    "/v1/database/static-creds/app": {"data": {"username": "app", "password": "from-the-engine"}},
    "/v1/secret/data/pg": {"data": {"data": {"password": "from-the-store"}, "metadata": {"version": 3}}},
}


class Vault(BaseHTTPRequestHandler):
    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/v1/auth/approle/login" and given == {"role_id": "r1", "secret_id": "s1"}
        self._answer({"auth": {"client_token": "hvs.1"}} if known else None)

    def do_GET(self):
        self._answer(ANSWERS.get(self.path) if self.headers["X-Vault-Token"] == "hvs.1" else None)

    def _answer(self, found):
        self.send_response(200 if found else 403)
        self.end_headers()
        self.wfile.write(json.dumps(found or {"errors": ["permission denied"]}).encode())

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def brought(tmp_path):
    """A function that runs the recipe for a path of Vault's; the exit code, and what is in the file then."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "secret-id").write_text("s1\n")
    to = tmp_path / "pg-prod"
    to.write_text("the old one")

    def bring(path, role="r1", address=f"http://127.0.0.1:{server.server_port}"):
        environment = {"VAULT_ADDR": address, "ROLE_ID": role, "SECRET_ID_FILE": str(tmp_path / "secret-id")}
        line = [sys.executable, SCRIPT, path, to]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert "s1" not in done.stderr
        return done.returncode, to.read_text(), to.stat().st_mode & 0o777

    yield bring
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "password"),
    [("database/static-creds/app", "from-the-engine"), ("secret/data/pg", "from-the-store")],
)
def test_a_password_comes_into_the_file(brought, path, password):
    assert brought(path) == (0, password, 0o600)


def test_what_fails_leaves_the_file_as_it_is(brought):
    for more in ({"role": "another"}, {"address": "http://vault.example.com"}, {"address": "https://127.0.0.1:1"}):
        code, text, _ = brought("secret/data/pg", **more)
        assert (code, text) == (1, "the old one")
    assert brought("secret/data/nothing")[:2] == (1, "the old one")
