"""Who runs a command, for the ledger."""

from __future__ import annotations

import os
import pwd


def cli_actor() -> str:
    """`cli:` and the login name of the user this process runs as, or the number if it has no name."""
    user_id = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(user_id).pw_name}"
    except KeyError:
        return f"cli:{user_id}"
