"""Talking to the peers, which live in a Python of their own (`make bench` installs them)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consentry.errors import EnvironmentLack

SCRIPT = Path(__file__).with_name("peer_process.py")
PEERS_PYTHON = Path(".venv-peers/bin/python")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Peers:
    """A child process with the peers, pinned to `core` so that it has one thread's worth of machine.

    Raises:
        EnvironmentLack: the child ended.
    """

    def __init__(self, core: int, python: Path) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own script, with the peers' interpreter
            [str(python), str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | ONE_THREAD,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - before any thread exists
        )
        self.packages: dict[str, str] = self.ask(do="packages")

    def ask(self, **request: Any) -> Any:
        """One request of `peer_process.py` and its answer."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise EnvironmentLack(f"the peers ended while asked to {request['do']}", "Run `make bench` again")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(timeout=60)
        if self._child.stdout:
            self._child.stdout.close()


@contextmanager
def beside_peers(python: Path) -> Iterator[Peers | None]:
    """This process and the peers on the same single core; None where `python` is not installed.

    Without the peers, figures are ours alone.
    """
    before = os.sched_getaffinity(0)
    core = min(before)
    with ExitStack() as stack:
        peers = stack.enter_context(Peers(core, python)) if python.exists() else None
        os.sched_setaffinity(0, {core})
        stack.callback(os.sched_setaffinity, 0, before)
        yield peers
