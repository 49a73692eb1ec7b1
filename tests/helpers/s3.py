"""An S3 server on the loopback that can be told to misbehave, over moto and werkzeug."""

import itertools
import logging
import socket
import struct
import threading
import urllib.request
from contextlib import contextmanager

import obstore
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import WSGIRequestHandler, make_server

SECRET = "s3cr3t/never+shown"
_NUMBERS = itertools.count()
RESET = struct.pack("ii", 1, 0)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type, message, *args):  # noqa: A002
        pass


def refuse(status, code="", message=""):
    """A fault: the request is answered so, and nothing is done."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if code else ""

    def fault(environ, start_response, app):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(status, [("Content-Length", str(len(body)))])
        return [body.encode()]

    return fault


def cut(environ, start_response, app):
    """A fault: the connection breaks before anything is done."""
    _break(environ)
    start_response("500 Gone", [])
    return [b""]


def done_and_cut(environ, start_response, app):
    """A fault: it is done, and the connection breaks before the answer."""
    list(app(environ, lambda *_: None))
    return cut(environ, start_response, app)


def _break(environ):
    plug = environ["werkzeug.socket"]
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    plug.shutdown(socket.SHUT_RDWR)


class S3:
    """The server. `rule(method, path)` may return a fault for a request, or None."""

    def __init__(self):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet
        )
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.rule = None
        self.log = []

    def _serve(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.log.append((method, path, environ.get("HTTP_IF_NONE_MATCH", "")))
        fault = self.rule(method, path) if self.rule else None
        serve = fault or (lambda environ, start, app: app(environ, start))
        return serve(environ, start_response, self._app)

    @contextmanager
    def ruled(self, rule):
        """Misbehave for a while."""
        self.rule = rule
        try:
            yield
        finally:
            self.rule = None

    @property
    def env(self):
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def new_bucket(self):
        """A bucket that no test had before: what moto holds, all servers of a process share."""
        name = f"bucket-{next(_NUMBERS)}"
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        return name

    def store(self, bucket):
        return S3Store(
            bucket,
            config={
                "endpoint": self.url,
                "access_key_id": "key",
                "secret_access_key": SECRET,
                "region": "us-east-1",
            },
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def objects(self, bucket):
        """Every object of a bucket: its key and its bytes."""
        store = self.store(bucket)
        names = [item["path"] for page in obstore.list(store) for item in page]
        return {name: bytes(obstore.get(store, name).bytes()) for name in sorted(names)}

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
