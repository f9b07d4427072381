"""The hub has the log cosigned by itself, and stops in order while it does."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.unit.people.kit import START_UNIX_S, opened

from consentry.clock import SimulatedClock
from consentry.config import Ledger, Settings, WitnessAddress
from consentry.ledger.witness import Answer, Witness
from consentry.ledger.witness_http import WitnessServer
from consentry.people.witnesses import witness_states
from consentry.pipeline.worker import STOP_WITHIN_S
from consentry.server.hub import Hub
from consentry.vision.runtime import Runtime


class _Noticed(Witness):
    """Lets a test wait until it has answered."""

    answered = threading.Event()

    def add_checkpoint(self, body: bytes) -> Answer:
        answer = super().add_checkpoint(body)
        self.answered.set()
        return answer


def test_a_hub_asks_its_witnesses(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        witness = _Noticed(tmp_path / "w", [site.ledger.verifier], clock)
        with WitnessServer(witness, "127.0.0.1", 0) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            address = WitnessAddress(url=server.url, vkey=str(witness.public))
            hub = Hub(
                site,
                Settings(ledger=Ledger(witnesses=[address])),
                clock,
                runtime=Runtime("onnxruntime", "f32", 1),
                models_folder=tmp_path / "models",
                builtin_video=tmp_path / "none.mp4",
            )
            hub.start()
            assert witness.answered.wait(STOP_WITHIN_S)
            assert hub.healthy
            hub.stop()
            server.shutdown()
            thread.join()
        (state,) = witness_states(site, [address])
        assert (state.size, state.problem) == (1, "")
        witness.close()
