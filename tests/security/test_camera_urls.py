"""What is named as a camera makes this machine open that camera, and nothing else (I6)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.people.kit import duty, opened

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import ConsentryError, MediaError, UsageError
from consentry.media import open_source
from consentry.people.cameras import add_camera, list_cameras

QUICK = Media(open_timeout_s=2.0, read_timeout_s=2.0)


@dataclass
class Rogue:
    """A camera that answers every connection with the same bytes, and counts them.

    Attributes:
        answer: What it sends; `{port}` in it is its own port.
        seen: The first line of each request.
    """

    answer: bytes
    port: int = 0
    seen: list[bytes] = field(default_factory=list)


@contextmanager
def rogue(answer: bytes = b"") -> Iterator[Rogue]:
    """A rogue that listens on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        it = Rogue(answer, port=listener.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(1.0)
                    try:
                        while asked := connection.recv(65536):
                            it.seen.append(asked.split(b"\r\n")[0])
                            sequence = next(
                                (line for line in asked.split(b"\r\n") if line.startswith(b"CSeq")), b"X: y"
                            )
                            connection.sendall(it.answer.replace(b"{cseq}", sequence))
                            if it.answer.startswith(b"HTTP"):
                                break
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield it
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def refused(url: str) -> ConsentryError:
    """The error of opening `url`."""
    with pytest.raises(ConsentryError) as caught:
        open_source(url, camera="c", settings=QUICK, clock=SystemClock()).close()
    return caught.value


ODD = """
gopher://{here}/ ftp://{here}/a tcp://{here} udp://{here} rtmp://{here}/a srt://{here} sftp://{here}/a
hls+http://{here}/a.m3u8 ipfs://a data:video/mp4;base64,AAAA pipe:0 fd:0 unix:/run/a.sock
concat:/etc/passwd|/etc/hostname subfile,,start,0,end,9,,:/etc/passwd crypto:/etc/passwd cache:http://{here}/
async:http://{here}/ httpproxy://{here}/ lavfi:testsrc tee:/tmp/a md5: RTSPX://{here}/ javascript:alert(1)
http:/{here}/ http:{here} rtsp:{here} //{here}/a rtsp://{here}\\@127.0.0.1/ http://@/ http://:80/ rtsp:///etc/passwd
"""


@pytest.mark.parametrize("pattern", ODD.split())
def test_odd_addresses_are_refused_and_nobody_is_asked(pattern: str) -> None:
    with rogue() as it:
        error = refused(pattern.format(here=f"127.0.0.1:{it.port}"))
        assert isinstance(error, UsageError | MediaError)
        assert it.seen == []


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile '{url}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
        "<ASX><ENTRY><REF HREF='{url}'/></ENTRY></ASX>",
    ],
    ids=["ffconcat", "HLS", "DASH", "SDP", "PLS", "ASX"],
)
@pytest.mark.parametrize("over", ["file", "http"])
def test_a_playlist_is_no_video(tmp_path: Path, text: str, over: str) -> None:
    """It could name any file or host."""
    with rogue() as target:
        content = text.format(url=f"http://127.0.0.1:{target.port}/a.ts", port=target.port).encode()
        if over == "file":
            path = tmp_path / "video.mp4"
            path.write_bytes(content)
            refused(str(path))
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %d\r\n\r\n" % len(content)
            with rogue(head + content) as camera:
                refused(f"http://127.0.0.1:{camera.port}/video.mp4")
        assert target.seen == []


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/a",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "/elsewhere",
    ],
)
def test_a_redirect_of_an_http_camera_is_not_followed(target: str) -> None:
    with rogue() as elsewhere:
        location = target.format(port=elsewhere.port)
        answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        with rogue(answer) as camera:
            refused(f"http://name:secret@127.0.0.1:{camera.port}/stream")
            assert len(camera.seen) == 1
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    "target", ["rtsp://127.0.0.1:{port}/a", "file:///etc/passwd", "http://127.0.0.1:{port}/a"]
)
def test_a_redirect_of_an_rtsp_camera_is_not_followed(target: str) -> None:
    with rogue() as elsewhere:
        location = target.format(port=elsewhere.port)
        answer = f"RTSP/1.0 302 Moved\r\n{{cseq}}\r\nLocation: {location}\r\n\r\n".encode()
        with rogue(answer) as camera:
            refused(f"rtsp://name:secret@127.0.0.1:{camera.port}/stream")
            assert camera.seen
        assert elsewhere.seen == []


def test_only_what_can_be_opened_becomes_a_camera(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        for number, pattern in enumerate(ODD.split()):
            if "://" in pattern:
                with pytest.raises(UsageError):
                    add_camera(
                        site, name=f"c{number}", url=pattern.format(here="192.0.2.1"), duty=duty(), actor="t"
                    )
        assert list_cameras(site) == []
        for number, url in enumerate(
            ("rtsp://192.0.2.1/a", "http://192.0.2.1/a", "webcam:0", "/media/a.mp4")
        ):
            add_camera(site, name=f"c{number}", url=url, duty=duty(), actor="t")
