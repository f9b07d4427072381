"""A camera that speaks HTTP on loopback, well or badly, for tests."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOUNDARY = b"--frame"
WAIT_S = 30.0


@dataclass
class Camera:
    """What the camera answers, and the means to steer it.

    Attributes:
        parts: The pictures it sends, each as the bytes of one part's body.
        path: The only path it knows.
        login: `user:password` it asks for by basic authentication; None for nobody.
        status: What it answers to a right request.
        content_type: Of the whole answer.
        lengths: Whether each part states its length.
        cut_last: Whether the last part breaks off in its middle.
        go_on: Set by the test; the camera waits for it before part `pause_before`.
        pause_before: Number of that part; None never to wait.
        sent: Set by the camera when it has sent all parts.
        hold_open: Whether it then keeps the connection open until the test ends.
    """

    parts: list[bytes]
    path: str = "/stream"
    login: str | None = None
    status: int = 200
    content_type: str = "multipart/x-mixed-replace; boundary=frame"
    lengths: bool = True
    cut_last: bool = False
    pause_before: int | None = None
    hold_open: bool = False
    go_on: threading.Event = field(default_factory=threading.Event)
    sent: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is, without a login."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def url_with(self, login: str) -> str:
        """Where it is, with a login."""
        return self.url.replace("//", f"//{login}@")


@contextmanager
def serving(camera: Camera) -> Iterator[Camera]:
    """Serve `camera` on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            try:
                _answer(self, camera)
            except OSError:
                camera.sent.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    camera.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield camera
    finally:
        camera.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, camera: Camera) -> None:
    allowed = camera.login is None or request.headers.get("Authorization") == "Basic " + base64.b64encode(
        camera.login.encode()
    ).decode("ascii")
    status = camera.status if allowed else 401
    request.send_response(404 if request.path != camera.path else status)
    if not allowed:
        request.send_header("WWW-Authenticate", 'Basic realm="camera"')
    request.send_header("Content-Type", camera.content_type)
    request.end_headers()
    if request.path != camera.path or status != 200:
        return
    if "multipart" not in camera.content_type:
        request.wfile.write(b"".join(camera.parts))
        return
    for number, body in enumerate(camera.parts):
        if number == camera.pause_before:
            camera.go_on.wait(WAIT_S)
        length = b"Content-Length: %d\r\n" % len(body) if camera.lengths else b""
        head = BOUNDARY + b"\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n"
        if camera.cut_last and number == len(camera.parts) - 1:
            request.wfile.write(head + body[: len(body) // 2])
            return
        request.wfile.write(head + body + b"\r\n")
    request.wfile.write(BOUNDARY + b"--\r\n")
    camera.sent.set()
    if camera.hold_open:
        camera.go_on.wait(WAIT_S)
