"""An RTSP server on loopback for tests, run by the system's Python, which has GStreamer's bindings.

    /usr/bin/python3 rtsp_server.py [--clip FILE.mp4] [--user NAME --password WORD --auth basic|digest]

serves `/stream` over RTSP: a H.264 MP4 clip once, in real time, or without `--clip` an endless moving
ball of `--width` x `--height` at `--fps`. It prints `PORT n` once it listens and runs until killed.
Exits 3 when GStreamer or its bindings are missing, so that a test can skip.
"""

from __future__ import annotations

import argparse
import sys

MISSING = 3

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
except (ImportError, ValueError) as error:
    print(f"GStreamer's RTSP server is missing: {error}", file=sys.stderr)
    sys.exit(MISSING)


def pipeline(options: argparse.Namespace) -> str:
    """The GStreamer description of what `/stream` plays."""
    if options.clip:
        return f'( filesrc location="{options.clip}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )'
    return (
        "( videotestsrc is-live=true pattern=ball "
        f"! video/x-raw,format=I420,width={options.width},height={options.height},framerate={options.fps}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={options.fps} "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )


def require_login(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, options: argparse.Namespace
) -> None:
    """Let only `--user` with `--password` in, by the method `--auth`."""
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if options.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    server.set_auth(auth)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="basic")
    options = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline(options))
    factory.set_shared(False)
    if options.user:
        require_login(server, factory, options)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print(f"PORT {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
