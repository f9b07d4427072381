"""Where the site key comes from, and the key of each person under it.

One site key of 32 bytes wraps one random key per person. The site key is never in the data folder:

    CONSENTRY_SITE_KEY_FILE     a file that holds it as one line of base64
    CONSENTRY_SITE_KEY          the same base64, in the environment
    CONSENTRY_SITE_PASSPHRASE   derived with Argon2id from a passphrase; the salt is in the database
    none of these               the file `<site uuid>.key` in `consentry.config.keys_dir()`

At most one of the three variables may be set.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw

from consentry.config import keys_dir
from consentry.errors import BadConfig, SiteKeyMissing
from consentry.people.seal import KEY_BYTES, Kind, SealingKey
from consentry.store.failures import mapped_errors
from consentry.store.files import write_new_file

FILE_VARIABLE = "CONSENTRY_SITE_KEY_FILE"
KEY_VARIABLE = "CONSENTRY_SITE_KEY"
PASSPHRASE_VARIABLE = "CONSENTRY_SITE_PASSPHRASE"  # noqa: S105 - the name of a variable
SALT_BYTES = 16
MIN_PASSPHRASE_CHARACTERS = 12
# RFC 9106 section 4, the second recommended option.
_ARGON2_TIME_COST = 3
_ARGON2_MEMORY_KIB = 65536
_ARGON2_LANES = 4


def site_key(site_uuid: str, kdf_salt: bytes | None, data_dir: Path, *, create: bool = False) -> SealingKey:
    """The key of a site.

    Args:
        site_uuid: The site's UUID.
        kdf_salt: The stored Argon2id salt; None if the key is no passphrase's.
        data_dir: The data folder, which must not hold the key file.
        create: Whether the site is new, so that a key file that does not exist yet is made, mode 0600.

    Raises:
        SiteKeyMissing: there is none, or one of the wrong form.
        BadConfig: more than one is given, a key file lies in the data folder, or a passphrase is too short.
        DiskFull: a new key file cannot be written.
    """
    variable = _chosen_variable()
    value = os.environ.get(variable, "")
    if (variable == PASSPHRASE_VARIABLE) != (kdf_salt is not None):
        raise SiteKeyMissing(
            f"the data folder {data_dir} was sealed with a "
            + ("passphrase" if kdf_salt is not None else "site key, not with a passphrase"),
            f"Set {PASSPHRASE_VARIABLE}" if kdf_salt is not None else f"Unset {PASSPHRASE_VARIABLE}",
        )
    if kdf_salt is not None:
        secret = _from_passphrase(value, kdf_salt)
    elif variable == KEY_VARIABLE:
        secret = _from_base64(value, f"the environment variable {KEY_VARIABLE}")
    else:
        path = Path(value).expanduser() if variable == FILE_VARIABLE else keys_dir() / f"{site_uuid}.key"
        secret = _from_file(path, data_dir, create=create)
    return SealingKey(secret, site_uuid)


def new_salt() -> bytes | None:
    """A fresh Argon2id salt if a new site's key is to come from a passphrase, else None.

    Raises:
        BadConfig: more than one way to the key is given, or the passphrase is too short.
    """
    if _chosen_variable() != PASSPHRASE_VARIABLE:
        return None
    if len(os.environ[PASSPHRASE_VARIABLE]) < MIN_PASSPHRASE_CHARACTERS:
        raise BadConfig(
            f"{PASSPHRASE_VARIABLE} is shorter than {MIN_PASSPHRASE_CHARACTERS} characters",
            "Use several words",
        )
    return secrets.token_bytes(SALT_BYTES)


def new_person_key(site: SealingKey, site_uuid: str, person_id: str) -> tuple[SealingKey, bytes]:
    """A random key for a new person, and the same wrapped by the site key."""
    secret = secrets.token_bytes(KEY_BYTES)
    wrapped = site.seal(secret, Kind.PERSON_KEY, person_id)
    return SealingKey(secret, f"{site_uuid}/{person_id}"), wrapped


def person_key(site: SealingKey, site_uuid: str, person_id: str, wrapped: bytes) -> SealingKey:
    """The key of `person_id`.

    Raises:
        DataDamaged: `wrapped` was changed or is another person's.
    """
    secret = site.open(wrapped, Kind.PERSON_KEY, person_id)
    return SealingKey(secret, f"{site_uuid}/{person_id}")


def _chosen_variable() -> str:
    variables = (FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE)
    chosen = [name for name in variables if os.environ.get(name)]
    if len(chosen) > 1:
        raise BadConfig(f"{' and '.join(chosen)} are both set", "Keep the one that holds the site key")
    return chosen[0] if chosen else ""


def _from_passphrase(passphrase: str, salt: bytes) -> bytes:
    return hash_secret_raw(
        passphrase.encode(),
        salt,
        time_cost=_ARGON2_TIME_COST,
        memory_cost=_ARGON2_MEMORY_KIB,
        parallelism=_ARGON2_LANES,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )


def _from_base64(encoded: str, where: str) -> bytes:
    try:
        secret = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SiteKeyMissing(f"{where} does not hold a site key: {KEY_BYTES} bytes as base64", "Correct it")
    return secret


def _from_file(path: Path, data_dir: Path, *, create: bool) -> bytes:
    if path.resolve().is_relative_to(data_dir.resolve()):
        raise BadConfig(
            f"the site key {path} lies in the data folder that it protects",
            f"Move it and set {FILE_VARIABLE}",
        )
    if create and not path.exists():
        _make_key_file(path)
    if not path.is_file():
        raise SiteKeyMissing(
            f"the site key {path} is not there, so the sealed data in {data_dir} cannot be opened",
            f"Put the file back, or say where it is with {FILE_VARIABLE}",
        )
    with mapped_errors(path):
        return _from_base64(path.read_text(encoding="ascii", errors="replace"), str(path))


def _make_key_file(path: Path) -> None:
    encoded = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
    with mapped_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new_file(path, encoded)
