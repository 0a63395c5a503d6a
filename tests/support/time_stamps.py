"""A real time-stamp authority (`openssl ts`) behind HTTP on this machine."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import threading

CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa_default]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""


class Authority:
    """A certificate authority, a time-stamp authority under it, and a server that answers requests."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "serial").write_text("01\n")
        self._certify("ca", "Test root", "ca", ["-x509"])
        self._certify("tsa", "Test stamps", "tsa", ["-x509", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"])
        self.roots = (folder / "ca.pem").read_bytes()

    def _certify(self, file, name, extensions, more):
        config = self.folder / f"{file}.cnf"
        config.write_text(CONFIG.format(name=name, folder=self.folder))
        self._openssl(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", self.folder / f"{file}.key", "-config", config,
            "-extensions", extensions, "-out", self.folder / f"{file}.pem", "-days", "30", *more,
        )  # fmt: skip

    def _openssl(self, *arguments, check=True):
        return subprocess.run(["openssl", *map(str, arguments)], check=check, capture_output=True)

    def answer(self, request):
        (self.folder / "request").write_bytes(request)
        self._openssl(
            "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "tsa_default",
            "-queryfile", self.folder / "request", "-out", self.folder / "response",
        )  # fmt: skip
        return (self.folder / "response").read_bytes()

    def verifies(self, response, data):
        return self._openssl(
            "ts", "-verify", "-in", response, "-data", data, "-CAfile", self.folder / "ca.pem", check=False
        )


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.server.authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(authority, status=200):
    """The address of a server that answers for `authority`, as long as it is used."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.authority, server.status = authority, status
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
