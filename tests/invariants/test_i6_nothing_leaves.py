"""I6: the commands that see faces send nothing out, counted on a network interface of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore

pytestmark = pytest.mark.models


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace whose only way out is an interface that counts what is sent."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 to make a network namespace")
    name = f"consentry-{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this machine allows no network namespaces")
    try:
        inside = ["ip", "netns", "exec", name]
        for command in (
            ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"],
            ["ip", "link", "set", "lo", "up"],
            ["ip", "link", "add", "out0", "type", "veth", "peer", "name", "out1"],
            ["ip", "link", "set", "out1", "up"],
            ["ip", "addr", "add", "10.255.255.2/24", "dev", "out0"],
            ["ip", "link", "set", "out0", "up"],
            ["ip", "route", "add", "default", "via", "10.255.255.1"],
        ):
            if subprocess.run(inside + command, capture_output=True).returncode:
                pytest.skip(f"this machine does not allow {' '.join(command)} in a namespace")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def sent_packets(namespace: str) -> int:
    """Packets that went to the way out."""
    command = ["ip", "netns", "exec", namespace, "cat", "/sys/class/net/out0/statistics/tx_packets"]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def inside(namespace: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the namespace."""
    return subprocess.run(
        ["ip", "netns", "exec", namespace, *command], capture_output=True, text=True, timeout=240, check=False
    )


def test_an_attempt_would_be_seen(namespace: str) -> None:
    """The counter counts: one datagram to an address outside."""
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('10.255.255.9', 9))"
    inside(namespace, "ip", "neigh", "add", "10.255.255.9", "lladdr", "02:00:00:00:00:09", "dev", "out0")
    before = sent_packets(namespace)
    assert inside(namespace, sys.executable, "-c", program).returncode == 0
    assert sent_packets(namespace) > before


def test_watch_verify_and_doctor_send_nothing(
    namespace: str, demo_clip: Path, model_store: ModelStore, tmp_path: Path
) -> None:
    consentry = str(Path(sys.executable).with_name("consentry"))
    photo = tmp_path / "collins.png"
    photo.write_bytes(model_store.path(Catalogue.load().entry("eileen-collins")).read_bytes())
    site = str(tmp_path / "site")
    before = sent_packets(namespace)
    for arguments in (
        ["declare", "--demo", "--data", site],
        ["person", "enrol", "Eileen Collins", str(photo), "--consent-demo", "--data", site],
        ["watch", str(demo_clip), "--jsonl", "--max-seconds", "3", "--data", site],
        ["verify", str(photo), str(photo)],
        ["doctor", "--data", site],
    ):
        done = inside(namespace, consentry, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    assert sent_packets(namespace) == before


def test_no_telemetry_package_is_installed() -> None:
    """OpenVINO's package asks for one; the pinned requirements leave it out."""
    listed = (Path(__file__).parents[2] / "requirements" / "run.txt").read_text(encoding="utf-8")
    assert "telemetry==" not in listed
    with pytest.raises(ModuleNotFoundError):
        __import__("openvino_telemetry")
