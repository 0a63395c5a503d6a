"""A real server that speaks S3, on loopback, whose answers can be made to fail before or after they are applied."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager

import httpx
import pyarrow.fs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "evidence"
FAILURE = ("500 Internal Server Error", [("Content-Type", "application/xml"), ("Content-Length", "0")])


class S3Server:
    """`failing` ends the names of objects that cannot be put, `held` is set while `holding` keeps a caller waiting."""

    def __init__(self):
        self.failing = None
        self.applied = False
        self.holding = None
        self.held, self.released = threading.Event(), threading.Event()
        self.calls = []
        self.who = []
        self.address = ""
        self._app = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environment, answer):
        asked = environment["REQUEST_METHOD"], environment["PATH_INFO"]
        self.calls.append(asked)
        self.who.append(environment.get("HTTP_AUTHORIZATION", ""))
        if asked[0] == "PUT" and self.holding is not None and asked[1].endswith(self.holding):
            self.held.set()
            self.released.wait()
        if asked[0] == "PUT" and self.failing is not None and asked[1].endswith(self.failing):
            if self.applied:
                b"".join(self._app(environment, lambda *_: None))
            answer(*FAILURE)
            return [b""]
        return self._app(environment, answer)

    def fail(self, name, *, applied=False):
        self.failing, self.applied = name, applied

    def hold(self, name):
        self.holding = name

    def heal(self):
        self.failing = self.holding = None
        self.released.set()

    def put(self):
        """The names of the objects that were put, in order."""
        return [path.removeprefix(f"/{BUCKET}/") for method, path in self.calls if method == "PUT"]

    def files(self):
        """The bucket, without lapse in between."""
        return pyarrow.fs.SubTreeFileSystem(BUCKET, _direct(self.address))


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        """Nobody reads it."""


@contextmanager
def s3_server(certificate=None):
    """A server with an empty bucket; with a `trustme` certificate, it speaks TLS and what is in it stays as it was."""
    application = S3Server()
    tls = None if certificate is None else _tls(certificate)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=tls)
    application.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        if tls is None:
            httpx.post(f"{application.address}/moto-api/reset").raise_for_status()
            _direct(application.address).create_dir(BUCKET)
        application.calls.clear()
        application.who.clear()
        yield application
    finally:
        application.heal()
        server.shutdown()
        thread.join()
        server.server_close()


def _tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def _direct(address):
    host = address.removeprefix("http://")
    who = {"access_key": "somebody", "secret_key": "else"}
    return pyarrow.fs.S3FileSystem(**who, endpoint_override=host, scheme="http", allow_bucket_creation=True)
