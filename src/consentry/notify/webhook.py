"""Webhooks: signed messages to addresses that the operator configured, tried again for a while, counted.

Body: canonical JSON. Header `X-Consentry-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA-256 of
`SECONDS.BODY` under the webhook's secret. Redirects are not followed: they would lead to an address that
nobody configured.
"""

from __future__ import annotations

import hashlib
import hmac
import queue
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

import httpx
import rfc8785
import structlog

from consentry.clock import Clock
from consentry.config import Webhook

SIGNATURE = "X-Consentry-Signature"
TIMEOUT_S = 5.0
ATTEMPTS = 4
FIRST_WAIT_S = 0.5
MOST_WAITING = 1000
LEAVE_WITHIN_S = TIMEOUT_S + 5.0

log = structlog.get_logger("consentry.notify")


class Webhooks:
    """A thread that delivers messages, one after the other. A context manager.

    Args:
        clock: For signatures, and the waits between attempts.

    Attributes:
        delivered: Messages taken by their receiver, by its address.
        failed: Messages given up, by address and cause: a status such as `http 500`, `timeout`,
            `unreachable`, `queue full`, `stopped`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: queue.Queue[tuple[Webhook, bytes] | None] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self.delivered: Counter[str] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Webhooks:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what was not sent by then is counted as `stopped`."""
        self._stopping.set()
        with suppress(queue.Full):
            self._waiting.put(None, timeout=LEAVE_WITHIN_S)  # a full queue empties at once now
        self._thread.join(LEAVE_WITHIN_S)

    def send(self, hook: Webhook, message: Mapping[str, str | int]) -> None:
        """Have a message delivered; returns at once."""
        try:
            self._waiting.put_nowait((hook, rfc8785.dumps(dict(message))))
        except queue.Full:
            self._give_up(hook, "queue full")

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            while (item := self._waiting.get()) is not None:
                hook, body = item
                if self._stopping.is_set():
                    self._give_up(hook, "stopped")
                else:
                    self._deliver(client, hook, body)

    def _deliver(self, client: httpx.Client, hook: Webhook, body: bytes) -> None:
        wait_s, cause = FIRST_WAIT_S, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.sleep(wait_s)
                wait_s *= 2
            if self._stopping.is_set():
                cause = "stopped"
                break
            cause = self._attempt(client, hook, body)
            if not cause:
                self.delivered[where_of(hook)] += 1
                return
        self._give_up(hook, cause)

    def _attempt(self, client: httpx.Client, hook: Webhook, body: bytes) -> str:
        """One attempt; returns why it failed, or nothing."""
        seconds = f"{self._clock.unix_s():.0f}"
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: f"t={seconds},v1={signature(hook.secret.get_secret_value(), seconds, body)}",
        }
        try:
            answer = client.post(hook.url, content=body, headers=headers)
        except httpx.TimeoutException:
            return "timeout"
        except httpx.HTTPError:
            return "unreachable"
        return "" if answer.is_success else f"http {answer.status_code}"

    def _give_up(self, hook: Webhook, cause: str) -> None:
        self.failed[where_of(hook), cause] += 1
        log.error("webhook_failed", where=where_of(hook), cause=cause)


def signature(secret: str, seconds: str, body: bytes) -> str:
    """The signature of a message, hexadecimal."""
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


def where_of(hook: Webhook) -> str:
    """Host and port only: path and query may hold a secret of the receiver."""
    return urlsplit(hook.url).netloc
