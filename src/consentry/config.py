"""Settings: `consentry.toml` in the data folder, then `CONSENTRY_*` from the environment on top.

A nested setting is spelt with two underscores in the environment: `CONSENTRY_RECOGNITION__FPIR=0.01`.
`docs/settings.md` documents each one; a test holds the two together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from consentry.errors import BadConfig

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
SETTINGS_FILE = "consentry.toml"
Role = Literal["viewer", "operator", "auditor", "admin"]
"""What a user of the server is here for; `consentry.server.access` says what each may do."""


class Vision(BaseModel):
    """Detector, recogniser and the runtime that executes them."""

    model_config = ConfigDict(extra="forbid")

    pack: str = Field("default", description="Model pack of the catalogue to use.")
    runtime: Literal["auto", "openvino", "onnxruntime"] = Field(
        "auto", description="What executes the models; auto measures both at start and keeps the faster."
    )
    threads: int = Field(2, ge=1, le=256, description="Threads one inference may use.")
    detect_wh: tuple[int, int] = Field(
        (640, 384), description="Largest picture given to the detector, width and height in pixels."
    )
    find_score: float = Field(
        0.5, ge=0.0, le=1.0, description="Detector score from which a face is tracked and recognised."
    )
    cover_score: float = Field(
        0.2, ge=0.0, le=1.0, description="Detector score from which a possible face is covered."
    )


class Recognition(BaseModel):
    """How a track becomes a decision."""

    model_config = ConfigDict(extra="forbid")

    fpir: float = Field(
        0.003, gt=0.0, lt=1.0, description="Wanted share of strangers' tracks that get a name, at most."
    )
    min_margin: float = Field(
        0.05, ge=0.0, le=1.0, description="Cosine by which the best person must lead the second."
    )
    unsure_band: float = Field(
        0.05, ge=0.0, le=1.0, description="Width in cosine of the band below the threshold called unsure."
    )
    track_crops: int = Field(5, ge=1, le=32, description="Crops fused before a track is decided.")
    crop_gap_s: float = Field(0.2, ge=0.0, description="Least time between two fused crops, in seconds.")
    min_face_px: int = Field(32, ge=8, description="Shorter side of a face box from which it is recognised.")


class Redaction(BaseModel):
    """How people who may not be shown are hidden."""

    model_config = ConfigDict(extra="forbid")

    style: Literal["solid", "mosaic", "blur"] = Field("solid", description="What covers a face.")
    margin: float = Field(
        0.35, ge=0.0, le=2.0, description="How far a cover reaches past the face box, as a share of its size."
    )
    lead_s: float = Field(
        0.5, ge=0.0, le=5.0, description="Seconds a track is covered before its first detection."
    )
    trail_s: float = Field(
        0.7, ge=0.0, le=5.0, description="Seconds a track is covered after its last detection."
    )


class Server(BaseModel):
    """The hub's web server."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you change it.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    searches_per_minute: int = Field(
        10,
        ge=1,
        le=600,
        description="Comparisons of faces a user may ask for in a minute, enrolling too.",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$",
        description="Where people reach this server, such as https://cameras.example.org, for links and QR "
        "codes; empty: http://host:port.",
    )


class Retention(BaseModel):
    """How long something is kept at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    last_seen_days: int = Field(
        365,
        ge=1,
        le=1096,
        description="Days after which someone who was not seen is erased; 3 years at most.",
    )
    sightings_days: int = Field(
        30, ge=1, le=1096, description="Days after which the record of a sighting is deleted."
    )


DEFAULT_RETENTION = Retention()


class SignIn(BaseModel):
    """How long people stay signed in, and what they need for it."""

    model_config = ConfigDict(extra="forbid")

    idle_hours: float = Field(
        12.0, gt=0.0, le=168.0, description="Hours without a request after which a session ends."
    )
    longest_days: float = Field(7.0, gt=0.0, le=90.0, description="Days after which every session ends.")
    require_totp: list[Role] = Field(
        [], description="Roles that must give a code of their authenticator app besides the password."
    )


class Media(BaseModel):
    """Opening and reading sources."""

    model_config = ConfigDict(extra="forbid")

    open_timeout_s: float = Field(10.0, gt=0, description="Seconds to wait for a source to answer.")
    read_timeout_s: float = Field(
        10.0, gt=0, description="Seconds without data until a source counts as gone."
    )
    max_pixels: int = Field(50_000_000, ge=1, description="Largest picture accepted, in pixels.")


class WitnessAddress(BaseModel):
    """A witness on another machine: where it is, and its public key."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://[^\s@/?#]+(/[^\s@?#]*)?$")
    vkey: str


class Ledger(BaseModel):
    """The log, and who watches over it from outside."""

    model_config = ConfigDict(extra="forbid")

    witnesses: list[WitnessAddress] = Field(
        default_factory=list,
        description='Witnesses to ask for cosignatures: `{url = "http://pi:8081", vkey = "…"}` each.',
    )
    witness_every_s: float = Field(
        60.0, ge=1.0, description="Seconds between two rounds of asking, if the log has grown."
    )


class Backup(BaseModel):
    """Backups."""

    model_config = ConfigDict(extra="forbid")

    recipient: str = Field(
        "",
        description="Whom backups are encrypted to without `--to`: `age1…`, or several with spaces.",
    )


class Webhook(BaseModel):
    """Somewhere to tell of known sightings."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="https, or http on loopback.", repr=False)
    secret: SecretStr = Field(
        min_length=16, repr=False, description="Signs each message; the receiver has it too."
    )
    consequential: bool = Field(False, description="Whether something is done to a person on its account.")
    cameras: list[str] | None = Field(None, description="Only sightings of these; null: of all.")

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return https_or_loopback(url)


class Notify(BaseModel):
    """Telling other systems."""

    model_config = ConfigDict(extra="forbid")

    webhooks: list[Webhook] = Field(
        [],
        description="Who is told of known sightings; each has url, secret, consequential, cameras."
        " A consequential one waits for two people's confirmations.",
    )


class Oidc(BaseModel):
    """Signing in by the organisation's own provider (OpenID Connect)."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field("", description="The provider's address; https, or http on loopback. Empty: none.")
    client_id: str = Field("", description="What the provider calls this server.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="The secret it gave; best in CONSENTRY_OIDC__CLIENT_SECRET."
    )
    role_claim: str = Field("roles", description="Claim of the ID token that holds a user's groups or roles.")
    roles: dict[str, Role] = Field(
        {}, description="Role here for each value of that claim; who has none of them is refused."
    )

    @field_validator("issuer")
    @classmethod
    def _safe(cls, issuer: str) -> str:
        return https_or_loopback(issuer) if issuer else issuer


class Settings(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="CONSENTRY_", env_nested_delimiter="__", extra="forbid", toml_file=None
    )

    vision: Vision = Field(default_factory=Vision)
    recognition: Recognition = Field(default_factory=Recognition)
    redaction: Redaction = Field(default_factory=Redaction)
    server: Server = Field(default_factory=Server)
    sign_in: SignIn = Field(default_factory=SignIn)
    oidc: Oidc = Field(default_factory=Oidc)
    notify: Notify = Field(default_factory=Notify)
    media: Media = Field(default_factory=Media)
    retention: Retention = Field(default_factory=Retention)
    ledger: Ledger = Field(default_factory=Ledger)
    backup: Backup = Field(default_factory=Backup)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(data_dir: Path) -> Settings:
    """The settings of the installation in `data_dir`; defaults where nothing is set.

    Raises:
        BadConfig: the file is no TOML, or a setting is unknown or out of range.
    """
    path = data_dir / SETTINGS_FILE

    class _Here(Settings):
        model_config = SettingsConfigDict(toml_file=path if path.is_file() else None)

    try:
        return _Here()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadConfig(
            f"setting {where or '?'}: {first['msg']}", f"Correct it in {path} or the environment"
        ) from None
    except ValueError as error:
        raise BadConfig(f"{path} is not valid TOML: {error}", "Correct the file") from None


def https_or_loopback(url: str) -> str:
    """`url`, if nobody on the way can read what is sent there.

    Raises:
        ValueError: it is no such address.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.username or parts.password or parts.fragment:
        raise ValueError("is no address without a password in it")
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return url
    raise ValueError("must begin with https://; http:// only on loopback")


def default_data_dir() -> Path:
    """Where an installation lives when nothing else is said: `$XDG_DATA_HOME/consentry`."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "consentry"


def models_dir() -> Path:
    """Where verified weights are kept, shared by all installations of this user.

    `CONSENTRY_MODELS_DIR`, else `$XDG_CACHE_HOME/consentry/models`.
    """
    own = os.environ.get("CONSENTRY_MODELS_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "consentry" / "models"


def keys_dir() -> Path:
    """Where site keys are kept, outside every data folder: `$XDG_CONFIG_HOME/consentry/keys`."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "consentry" / "keys"
