"""What the hub and a worker say to each other, over one pipe.

Hub to worker: `WorkerSpec` at the start, then `NewRoster` and `Stop`. Worker to hub: `SightingMade`,
`LivePicture` and `Health`. There is no message for a raw frame, for the template of a face that was not
enrolled, or for a camera's password on its way back, so that none can reach the hub (invariants I2, I3).
The references of `NewRoster` carry the rotation they are under, and with it its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from consentry.people.roster import Reference
from consentry.people.sightings import Sighting
from consentry.vision.runtime import Runtime

CameraState = Literal[
    "connecting", "streaming", "unreachable", "unauthorised", "ended", "failed", "stopped", "overdue"
]
"""What a camera is doing.

- connecting: its source is being opened.
- streaming: frames arrive.
- unreachable: no answer, or lost; tried again soon.
- unauthorised: it refused the password; tried again rarely, so that it does not lock the account.
- ended: a file has been played to its end.
- failed: something else is wrong, the detail says what; tried again soon.
- stopped: the worker was told to stop.
- overdue: its review is; no worker opens it until then.
"""


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """A camera, where its pictures come from and the zone it stands in.

    `url` may hold a password and is never printed.
    """

    name: str
    url: str = field(repr=False)
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """All that a worker needs to begin.

    Attributes:
        cameras: Those it hosts.
        settings: `Settings.model_dump()`.
        models_folder: Where the verified weights are.
        runtime: What executes them, measured by the hub.
        builtin_video: What the built-in camera plays.
    """

    cameras: tuple[CameraAddress, ...]
    settings: Mapping[str, Any]
    models_folder: Path
    runtime: Runtime
    builtin_video: Path


@dataclass(frozen=True, slots=True)
class NewRoster:
    """Who may be recognised from now on, by camera; a camera that is not named knows nobody.

    Attributes:
        version: Of the gallery they were read at, or a later one.
        references: By camera.
    """

    version: int
    references: Mapping[str, tuple[Reference, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """End all tracks, send their sightings, and leave."""


@dataclass(frozen=True, slots=True)
class SightingMade:
    """A track ended and was decided."""

    sighting: Sighting


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A redacted picture.

    Attributes:
        camera: Whose.
        sequence: Of its frame; starts again at 0 when the camera reconnects.
        time_s: Of its frame, on the stream's clock.
        jpeg: Encoded from the redacted picture, never from the frame.
    """

    camera: str
    sequence: int
    time_s: float
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Health:
    """How one camera does, since its worker began.

    Attributes:
        camera: Whose.
        state: See `CameraState`.
        detail: Why, in words without credentials; empty if there is nothing to say.
        roster_version: Of the roster in use; -1 before the first.
        frames_read, frames_analysed, faces, tracks: Counted over all connections.
        frame_drops: Frames that were not analysed, by cause.
        live_drops: What was not sent, by cause: of redacted pictures, `thinned` came sooner than the
            wanted rate and `replaced` was overtaken by a newer one; `unsent` counts sightings and changes
            of state that were lost because the hub did not read.
    """

    camera: str
    state: CameraState
    detail: str
    roster_version: int
    frames_read: int
    frames_analysed: int
    faces: int
    tracks: int
    frame_drops: Mapping[str, int]
    live_drops: Mapping[str, int]


FromWorker = SightingMade | LivePicture | Health
ToWorker = NewRoster | Stop
