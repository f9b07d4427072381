"""What reaches the log when a part of the program crashes: which error and where, never its text.

The text of an error that nobody expected may hold anything: a name, a password, a template.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

FRAMES = 8


def crash_words(kind: type[BaseException], trace: TracebackType | None) -> str:
    """The kind of error, and the last `FRAMES` places on the way to it, outermost first."""
    places = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)[-FRAMES:]
    ]
    return f"{kind.__name__} at {' > '.join(places) or 'an unknown place'}"


class PlaceOnly(logging.Formatter):
    """Formats the lines of libraries; of one that reports an error, the error's kind and place alone."""

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        kind, _, trace = record.exc_info if isinstance(record.exc_info, tuple) else (None, None, None)
        said = crash_words(kind, trace) if kind is not None else record.getMessage()
        return f"{record.levelname} {record.name} {said}"


def quiet_crashes() -> None:
    """Make libraries, threads and the main program report their crashes in this way, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlaceOnly())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])

    def on_crash(
        kind: type[BaseException], _error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.write(f"CRITICAL consentry {crash_words(kind, trace)}\n")

    sys.excepthook = on_crash
    threading.excepthook = lambda crash: on_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)
