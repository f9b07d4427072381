"""Passwords: kept as Argon2id only, made at random when they are handed over, checked in constant time."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from consentry.errors import UsageError

PASSWORD_BYTES = 15
LEAST_CHARACTERS = 12
MOST_CHARACTERS = 1024
_HASHER = PasswordHasher()


def random_password() -> str:
    """A password to hand over: 120 random bits."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(password: str) -> str:
    """`password` as it is kept: Argon2id with its parameters and a random salt."""
    return _HASHER.hash(password)


def fits(encoded: str, password: str) -> bool:
    """Whether `encoded` was made from `password`. Takes 64 MiB and tens of milliseconds."""
    try:
        return _HASHER.verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False


def require_good(password: str, name: str) -> None:
    """Let a password pass that somebody chose.

    Raises:
        UsageError: it is too short or long, or it holds the user's own name.
    """
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise UsageError(
            f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters", "Choose another one"
        )
    if name.casefold() in password.casefold():
        raise UsageError("the password holds the user's name", "Choose another one")
