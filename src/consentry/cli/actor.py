"""Who runs a command, for the ledger."""

from __future__ import annotations

import os


def cli_actor() -> str:
    """`cli:` and the number of the user this process runs as.

    Never the login name: an entry of the ledger cannot be erased.
    """
    return f"cli:{os.getuid()}"
