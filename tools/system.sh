#!/usr/bin/env bash
# Install the system programs that some tests run against: Chromium, GStreamer's RTSP server, and iproute2
# for the network namespace in which nothing may be heard.
# Where that is not possible, say so and go on: those tests then skip, each with a message.
set -u
packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v ip >/dev/null || packages+=(iproute2)
if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null; then
    packages+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
               gstreamer1.0-plugins-ugly)
fi
[ "${#packages[@]}" -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, and no right to: ${packages[*]}; the tests that need them will skip"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing ${packages[*]}"
apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
    echo "could not install ${packages[*]}; the tests that need them will skip"
