"""A network namespace in which everything that is sent is heard, and nothing gets out.

Its only way out is one end of a pair of interfaces; the other end leads nowhere. Default routes and fixed
neighbours make an attempt to reach the outside a packet rather than an error, over IPv4 and IPv6, and
names are looked up at an address outside. So an attempt is not only refused, it is seen.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

Result = TypeVar("Result")
RESOLVER = "10.255.255.53"
_CLONE_NEWNET = 0x40000000
_ALL_PROTOCOLS = 0x0003
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_OUTGOING = 263, 6, 4
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 128
_GATEWAY, _GATEWAY_V6, _GATEWAY_MAC = "10.255.255.1", "fd00:255::1", "02:00:00:00:00:01"
_SETUP = (
    "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0",
    "ip link set lo up",
    "ip link add out0 type veth peer name out1",
    "ip link set out1 up",
    "ip addr add 10.255.255.2/24 dev out0",
    "ip addr add fd00:255::2/64 dev out0 nodad",
    "ip link set out0 up",
    f"ip neigh replace {_GATEWAY} lladdr {_GATEWAY_MAC} dev out0 nud permanent",
    f"ip neigh replace {RESOLVER} lladdr {_GATEWAY_MAC} dev out0 nud permanent",
    f"ip neigh replace {_GATEWAY_V6} lladdr {_GATEWAY_MAC} dev out0 nud permanent",
    f"ip route add default via {_GATEWAY}",
    f"ip -6 route add default via {_GATEWAY_V6} dev out0",
)
# the kernel's own talk when an interface comes up: multicast reports and a search for routers
_KERNEL_ICMPV6_TYPES = frozenset({131, 132, 133, 143})


@dataclass(frozen=True, slots=True, order=True)
class Packet:
    """One kind of packet that was sent: on which interface, in which protocol, to where."""

    interface: str
    protocol: str
    to: str
    ports: tuple[int, int]

    @property
    def is_lookup(self) -> bool:
        """Whether it asks for a name: DNS, mDNS, LLMNR or NetBIOS."""
        return self.ports[1] in (53, 137, 853, 5353, 5355)


@dataclass
class Heard:
    """What was sent while the capture ran.

    Attributes:
        packets: Each kind once.
        count: All of them.
        missed: Packets that came too fast to be looked at: with any, the capture proves nothing.
    """

    packets: set[Packet] = field(default_factory=set)
    count: int = 0
    missed: int = 0

    def outward(self) -> list[Packet]:
        """What went to the way out."""
        return sorted(packet for packet in self.packets if packet.interface != "lo")

    def lookups(self) -> list[Packet]:
        """What asked for a name, wherever it went."""
        return sorted(packet for packet in self.packets if packet.is_lookup)


class QuietRoom:
    """The namespace `name`, and a thread that lives in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)

    def inside(self, work: Callable[[], Result]) -> Result:
        """What `work` gives when its sockets are the namespace's."""
        return self._thread.submit(work).result()

    def command(self, *command: str) -> list[str]:
        """`command`, made to run in the namespace, with its resolver."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace to its end."""
        return subprocess.run(
            self.command(*command), capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """Hear every packet sent in the namespace from now on; complete when the block has ended."""
        heard, ended = Heard(), threading.Event()
        with self.inside(_capture_socket) as capture:
            reader = threading.Thread(target=_read, args=(capture, heard, ended))
            reader.start()
            try:
                yield heard
            finally:
                ended.set()
                reader.join()
            _, heard.missed = struct.unpack("II", capture.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _enter(self) -> None:
        with Path("/run/netns", self.name).open("rb") as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "cannot enter the namespace")


@contextmanager
def quiet_room() -> Iterator[QuietRoom]:
    """A namespace of this kind, or a skip that says what the machine lacks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 to make a network namespace")
    name = f"consentry-{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("this machine allows no network namespaces")
    settings = Path("/etc/netns", name)  # shown as /etc to what runs in the namespace
    room = QuietRoom(name)
    try:
        for command in _SETUP:
            if room.run(*command.split()).returncode:
                pytest.skip(f"this machine does not allow `{command}` in a namespace")
        settings.mkdir(parents=True)
        (settings / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
        (settings / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        yield room
    finally:
        room.close()
        shutil.rmtree(settings, ignore_errors=True)
        if settings.parent.is_dir() and not any(settings.parent.iterdir()):
            settings.parent.rmdir()
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _capture_socket() -> socket.socket:
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    capture.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    capture.settimeout(0.1)
    return capture


def _read(capture: socket.socket, heard: Heard, ended: threading.Event) -> None:
    """Look at packets until none is left after the end."""
    while True:
        try:
            head, (interface, _, direction, *_) = capture.recvfrom(_HEAD_BYTES)
        except TimeoutError:
            if ended.is_set():
                return
            continue
        if direction != _PACKET_OUTGOING or interface == "out1":
            continue
        heard.count += 1
        packet = _packet(interface, head)
        if packet is not None:
            heard.packets.add(packet)


def _packet(interface: str, frame: bytes) -> Packet | None:
    """What an Ethernet frame is; None for the kernel's own talk."""
    kind, rest = int.from_bytes(frame[12:14], "big"), frame[14:]
    if kind == 0x0800:
        to, number, at = socket.inet_ntop(socket.AF_INET, rest[16:20]), rest[9], (rest[0] & 15) * 4
    elif kind == 0x86DD:
        to, number, at = socket.inet_ntop(socket.AF_INET6, rest[24:40]), rest[6], 40
        if number == 0:  # hop-by-hop options, as multicast reports have
            number, at = rest[at], at + (rest[at + 1] + 1) * 8
        if number == 58 and rest[at] in _KERNEL_ICMPV6_TYPES:
            return None
    else:
        return Packet(interface, f"ethertype {kind:#06x}", frame[:6].hex(":"), (0, 0))
    protocol = {6: "tcp", 17: "udp"}.get(number, f"protocol {number}")
    ports = struct.unpack_from(">HH", rest, at) if number in (6, 17) else (0, 0)
    return Packet(interface, protocol, to, (ports[0], ports[1]))
