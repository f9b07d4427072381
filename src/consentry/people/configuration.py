"""What this installation is set up to do, as one document: the base of the impact assessment.

It holds what was declared, the duties of cameras, the settings that matter to people, and the models. It
leaves out what changes from day to day (counts of people), what says nothing about the processing (threads,
timeouts, days of review) and every secret.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import rfc8785

from consentry.config import Settings
from consentry.models.catalogue import Catalogue
from consentry.people.cameras import list_cameras
from consentry.people.declaration import current_declaration
from consentry.people.site import Site
from consentry.types import redact_url

_SECRET = re.compile(r"secret|password|passphrase|token|(^|_)key$", re.IGNORECASE)
_WITHOUT = frozenset({"media", "vision.runtime", "vision.threads", "server.port"})

Configuration = dict[str, Any]


def live_configuration(site: Site, settings: Settings) -> Configuration:
    """The configuration as it is now, ready for JSON.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        UsageError: the chosen model pack does not exist.
    """
    declared = current_declaration(site)
    declaration = None
    if declared is not None:
        declaration = declared.declaration.model_dump(mode="json", exclude={"review_due_on"})
    return {
        "declaration": declaration,
        "cameras": {
            camera.name: {"purpose": camera.purpose, "owner": camera.owner, "zone": camera.zone}
            for camera in list_cameras(site)
        },
        "settings": _what_matters(settings.model_dump(mode="json")),
        "models": {entry.name: entry.sha256 for entry in Catalogue.load().pack(settings.vision.pack)},
    }


def canonical(configuration: Configuration) -> str:
    """The configuration as canonical JSON (RFC 8785)."""
    return rfc8785.dumps(configuration).decode()


def digest(configuration: Configuration) -> str:
    """SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical(configuration).encode()).hexdigest()


def changed_parts(before: Any, after: Any, path: str = "") -> tuple[str, ...]:
    """Where two configurations differ, such as `settings.recognition.fpir` or `cameras.front door`."""
    if before == after:
        return ()
    if not isinstance(before, dict) or not isinstance(after, dict):
        return (path,)
    return tuple(
        part
        for name in sorted(before.keys() | after.keys())
        for part in changed_parts(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    )


def _what_matters(value: Any, path: str = "") -> Any:
    """`value` without `_WITHOUT` and what is named like a secret, the passwords in addresses masked."""
    if isinstance(value, dict):
        inner = {name: f"{path}.{name}" if path else name for name in value if not _SECRET.search(name)}
        return {name: _what_matters(value[name], at) for name, at in inner.items() if at not in _WITHOUT}
    if isinstance(value, list):
        return [_what_matters(one, path) for one in value]
    return redact_url(value) if isinstance(value, str) and "://" in value else value
