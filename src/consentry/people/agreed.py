"""Settings that protect people: weaker than their default only if two people have agreed.

Settings come from a file and the environment, which one person can edit alone. So the values in use are
found here: a value weaker than the default counts only if it is no weaker than one that was agreed to
(`consentry.people.approvals`); else the default is used, and whoever asks is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ValidationError
from sqlalchemy import select

from consentry.config import Settings
from consentry.errors import NotFound, UsageError
from consentry.ledger.entry import Event
from consentry.people.site import Site
from consentry.store.schema import AgreedSettingRow

Value = float | int | str | tuple[int, int]
SettingKind = Literal["threshold.lower", "redaction.weaken"]


@dataclass(frozen=True, slots=True)
class Protection:
    """How a setting protects people.

    Attributes:
        kind: What must be agreed to before it may be weakened.
        is_weaker: Whether the first of two values protects less than the second.
    """

    kind: SettingKind
    is_weaker: Callable[[Value, Value], bool]


def _above(value: Value, than: Value) -> bool:
    assert not isinstance(value, tuple)
    assert not isinstance(than, tuple)
    return float(value) > float(than)


def _below(value: Value, than: Value) -> bool:
    return _above(than, value)


def _smaller(value: Value, than: Value) -> bool:
    """Whether one of two sides is shorter."""
    assert isinstance(value, tuple)
    assert isinstance(than, tuple)
    return value[0] < than[0] or value[1] < than[1]


def _other_style(value: Value, than: Value) -> bool:
    return value not in ("solid", than)


PROTECTED: Final[Mapping[str, Protection]] = {
    "vision.find_score": Protection("threshold.lower", _below),
    "recognition.fpir": Protection("threshold.lower", _above),
    "recognition.min_margin": Protection("threshold.lower", _below),
    "recognition.track_crops": Protection("threshold.lower", _below),
    "recognition.min_face_px": Protection("threshold.lower", _below),
    "vision.cover_score": Protection("redaction.weaken", _above),
    "vision.detect_wh": Protection(
        "redaction.weaken", _smaller
    ),  # small faces are not found in a small picture
    "redaction.style": Protection("redaction.weaken", _other_style),
    "redaction.margin": Protection("redaction.weaken", _below),
    "redaction.lead_s": Protection("redaction.weaken", _below),
    "redaction.trail_s": Protection("redaction.weaken", _below),
}
"""Every setting that must not be weakened by one person alone."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is set but not used.

    Attributes:
        setting: Its name, such as `recognition.fpir`.
        wanted: What is set.
        used: What is used instead.
        kind: What two people would have to agree to.
    """

    setting: str
    wanted: Value
    used: Value
    kind: SettingKind

    def __str__(self) -> str:
        return (
            f"{self.setting} = {self.wanted} protects people less than {self.used}, which is used: "
            "two people must agree to it first"
        )


def effective_settings(site: Site | None, settings: Settings) -> tuple[Settings, list[Refused]]:
    """The settings to use, and those values that are not used because nobody agreed to them.

    Args:
        site: Knows what was agreed to; without one, nothing was.
        settings: As file and environment have them; not changed.
    """
    agreed = agreed_values(site) if site is not None else {}
    used, defaults, refused = settings.model_copy(deep=True), _defaults(), []
    for name, protection in PROTECTED.items():
        wanted, default = _get(settings, name), _get(defaults, name)
        bound = agreed.get(name, default)
        if protection.is_weaker(wanted, default) and protection.is_weaker(wanted, bound):
            _set(used, name, default)
            refused.append(Refused(name, wanted, default, protection.kind))
    return used, refused


def agreed_values(site: Site) -> dict[str, Value]:
    """What two people have agreed to, by the name of the setting."""
    with site.read() as session:
        rows = session.scalars(select(AgreedSettingRow).order_by(AgreedSettingRow.name)).all()
        return {row.name: _from_json(row.value_json) for row in rows}


def _from_json(text: str) -> Value:
    value = json.loads(text)
    if isinstance(value, list):
        width, height = value
        return width, height
    found: Value = value
    return found


def take_back(site: Site, setting: str, *, actor: str) -> None:
    """Let the default hold again; one person is enough for that.

    Raises:
        NotFound: nobody has agreed to another value.
    """
    with site.write() as session:
        row = session.get(AgreedSettingRow, setting)
        if row is None:
            raise NotFound(f"nobody has agreed to another {setting}", "See /api/v1/settings")
        session.delete(row)
        site.log(session, Event.APPROVAL_REFUSED, actor=actor, payload={"taken_back": setting})


def require_weaker(kind: SettingKind, setting: str, value: Value) -> None:
    """Let only such a change of a setting be asked for as needs two people.

    Raises:
        UsageError: it is no setting of that kind, is no value of it, or does not weaken it.
    """
    protection = PROTECTED.get(setting)
    if protection is None or protection.kind != kind:
        known = ", ".join(name for name, one in PROTECTED.items() if one.kind == kind)
        raise UsageError(f"{setting} needs no such agreement", f"{kind} is for {known}")
    group, name = setting.split(".")
    model = type(getattr(_defaults(), group))
    assert issubclass(model, BaseModel)
    try:
        checked: Value = getattr(model.model_validate({name: value}, strict=True), name)
    except ValidationError as error:
        raise UsageError(f"{value!r} is no value of {setting}: {error.errors()[0]['msg']}") from None
    if not protection.is_weaker(checked, _get(_defaults(), setting)):
        raise UsageError(f"{setting} = {value} is no weaker than the default", "Set it; nobody need agree")


def _defaults() -> Settings:
    return Settings.model_construct()


def _get(settings: Settings, name: str) -> Value:
    group, field = name.split(".")
    value: Value = getattr(getattr(settings, group), field)
    return value


def _set(settings: Settings, name: str, value: Value) -> None:
    group, field = name.split(".")
    setattr(getattr(settings, group), field, value)
