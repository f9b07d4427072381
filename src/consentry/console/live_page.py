"""The live page: redacted pictures, sightings as they are made, and who is enrolled."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import html, ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from starlette.concurrency import run_in_threadpool

from consentry.console import words
from consentry.console.parts import HEAD, top
from consentry.errors import ConsentryError
from consentry.people.cameras import Camera
from consentry.people.declaration import current_declaration, reason_not_in_force
from consentry.people.dpia import dpia_status
from consentry.people.roster import Person
from consentry.people.sightings import RecordedSighting, recent
from consentry.people.witnesses import witness_problems
from consentry.server.access import RUNNING
from consentry.server.services import Services, SignedIn

REFRESH_S = 0.5
SIGHTINGS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the page shows besides pictures, read at once."""

    sightings: tuple[RecordedSighting, ...]
    people: tuple[Person, ...]
    is_demo: bool
    why_undeclared: str
    drift: tuple[str, ...]
    witness_problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _CameraCard:
    """The parts of a camera's card that change."""

    camera: Camera
    pill: TextElement
    nothing: TextElement
    detail: TextElement
    recognition: TextElement
    counts: TextElement
    drops: TextElement


class LivePage:
    """One browser's live page.

    Args:
        services: What it shows.
        asking: Who looks at it.
    """

    def __init__(self, services: Services, asking: SignedIn) -> None:
        self._services, self._hub, self._asking = services, services.hub, asking
        self._lists_people = asking.may_use("GET /api/v1/people")
        self._changes = -1
        self._newest_id: int | None = None
        self._cameras: tuple[Camera, ...] | None = None
        self._cards: list[_CameraCard] = []

    async def build(self) -> None:
        """Make all elements and keep them up to date until the browser leaves or the session ends.

        Raises:
            ConsentryError: the view could not be logged, so it must not be shown.
        """
        for what in ("sightings", "people") if self._lists_people else ("sightings",):
            await run_in_threadpool(
                self._services.views.opened, self._asking.user, self._asking.session_token, what
            )
        ui.add_head_html(HEAD + '<script src="/console/live.js" defer></script>')
        with html.div().classes("c-root"):
            html.a("Skip to the sightings", href="#sightings").classes("c-skip")
            top(f"Live view of {self._services.site.name}", self._asking)
            self._banners = html.div()
            with html.div().classes("c-main"):
                self._camera_area = html.section().props('aria-label="Cameras"').classes("c-cameras")
                with html.div().classes("c-side"):
                    self._feed, self._feed_count = _card("Sightings", "sightings")
                    if self._lists_people:
                        self._people, self._people_count = _card("Enrolled people", "people")
            html.footer(
                "Faces of people who are not enrolled are covered before a picture leaves the process that "
                "reads the camera. Scores are cosines, not probabilities. Nothing on this page is fetched "
                "from another host."
            ).classes("c-foot")
        await self._refresh()
        self._timer = ui.timer(REFRESH_S, self._refresh, immediate=False)

    async def _refresh(self) -> None:
        """Bring the page up to date, or send its reader away when the session has ended."""
        if not await run_in_threadpool(self._services.still, self._asking):
            self._timer.deactivate()
            ui.navigate.to("/login")
            return
        if self._hub.cameras != self._cameras:
            self._build_cameras()
        self._update_cameras()
        changes = self._hub.changes
        if changes == self._changes:
            return
        try:
            snapshot = await run_in_threadpool(self._read)
        except ConsentryError as error:
            self._banners.clear()
            with self._banners:
                _banner("bad", "Cannot read the data folder.", str(error))
            return
        self._changes = changes
        self._show_banners(snapshot)
        self._show_sightings(snapshot)
        if self._lists_people:
            self._show_people(snapshot)

    def _read(self) -> _Snapshot:
        site, settings = self._services.site, self._services.settings
        declared = current_declaration(site)
        return _Snapshot(
            sightings=tuple(recent(self._services.site, SIGHTINGS_SHOWN)),
            people=self._hub.people,
            is_demo=declared is not None and declared.is_demo,
            why_undeclared=reason_not_in_force(site),
            drift=dpia_status(site, settings).drift,
            witness_problems=tuple(witness_problems(site)),
        )

    def _build_cameras(self) -> None:
        self._cameras = self._hub.cameras
        self._cards = []
        self._camera_area.clear()
        self._camera_area.classes(add="many" if len(self._cameras) > 1 else "", remove="many")
        with self._camera_area:
            for camera in self._cameras:
                self._cards.append(_camera_card(camera))
            if not self._cameras:
                with html.div().classes("c-card"), html.div().classes("c-empty"):
                    html.p("No camera is set up yet.")
                    with html.p("Add one with "):
                        html.code("consentry camera add NAME URL")

    def _update_cameras(self) -> None:
        for card in self._cards:
            health = self._hub.health(card.camera.name)
            text, tone = words.state_words(health)
            card.pill.set_text(text)
            card.pill.classes(replace=f"c-pill {tone}")
            card.nothing.set_text("No picture yet" if text in ("Live", "Starting") else text)
            card.detail.set_text(health.detail if health else "The camera process is starting")
            card.recognition.set_text(words.recognition_words(health, self._hub.reason_off(card.camera.name)))
            card.counts.set_text(words.count_words(health))
            card.drops.set_text(words.drop_words(health))

    def _show_banners(self, snapshot: _Snapshot) -> None:
        self._banners.clear()
        with self._banners:
            if snapshot.is_demo:
                _banner(
                    "info",
                    "Demo.",
                    "The built-in camera shows two public-domain portraits: Eileen Collins is enrolled, the "
                    "other person is not and stays covered.",
                )
            if snapshot.why_undeclared:
                with _banner(
                    "warn",
                    "Nobody is recognised.",
                    f"Only 1:1 verification works, because {snapshot.why_undeclared}.",
                ):
                    if self._asking.user.role in RUNNING:
                        html.a("Declare what for", href="/setup")
            if snapshot.drift:
                _banner(
                    "warn",
                    "The impact assessment no longer fits.",
                    f"Changed since it was signed off: {', '.join(snapshot.drift)}. Draft it anew with "
                    "consentry dpia draft, look at it, and sign it.",
                )
            for problem in snapshot.witness_problems:
                _banner("bad", "A witness of the ledger is not content.", f"{problem}.")
            for one in self._services.refused:
                _banner("warn", "A setting is not used.", f"{one}.")
            if self._hub.unrecorded:
                _banner(
                    "bad",
                    "Sightings were lost.",
                    f"{self._hub.unrecorded} could not be recorded; see the log.",
                )

    def _show_sightings(self, snapshot: _Snapshot) -> None:
        names = {person.id: person.name for person in snapshot.people}
        before = self._newest_id
        self._feed.clear()
        with self._feed:
            if not snapshot.sightings:
                with html.div().classes("c-empty"):
                    html.p("No face has been seen yet.")
                    html.p("A sighting appears here when someone has left the picture.")
            with html.ol():
                for item in snapshot.sightings:
                    self._sighting_row(item, names, fresh=before is not None and item.id > before)
        self._newest_id = snapshot.sightings[0].id if snapshot.sightings else 0
        shown = len(snapshot.sightings)
        self._feed_count.set_text(f"newest {shown}" if shown == SIGHTINGS_SHOWN else str(shown))

    def _sighting_row(self, item: RecordedSighting, names: dict[str, str], *, fresh: bool) -> None:
        seen = item.sighting
        who = words.who_words(seen, names)
        with html.li().classes("c-row fresh" if fresh else "c-row"):
            mark = _initials(who) if seen.decision == "known" else "?"
            html.span(mark).props('aria-hidden="true"').classes(f"c-face {seen.decision}")
            html.span(who).classes("c-who")
            html.span(words.time_words(seen.last_unix_ms, self._services.clock.unix_s())).classes("c-when")
            where = f" · {seen.camera}" if len(self._hub.cameras) > 1 else ""
            html.span(words.why_words(seen) + where).classes("c-why")

    def _show_people(self, snapshot: _Snapshot) -> None:
        now_unix_s = self._services.clock.unix_s()
        self._people.clear()
        with self._people:
            if not snapshot.people:
                with html.div().classes("c-empty"):
                    html.p("Nobody is enrolled, so every face is covered.")
                    with html.p("Enrol someone who agreed with "):
                        html.code("consentry person enrol NAME PHOTO… --consent FILE")
            with html.ul():
                for person in snapshot.people:
                    text, tone = words.consent_words(person, now_unix_s)
                    with html.li().classes("c-row"):
                        mark = html.span(_initials(person.name)).props('aria-hidden="true"')
                        mark.classes("c-face known" if tone == "good" else "c-face")
                        html.span(person.name).classes("c-who")
                        html.span(_photos(person.photos)).classes("c-when")
                        html.span(text).classes("c-why")
        self._people_count.set_text(str(len(snapshot.people)))


def _camera_card(camera: Camera) -> _CameraCard:
    card = html.article().classes("c-card")
    card.props["aria-label"] = f"Camera {camera.name}"
    with card:
        with html.div().classes("c-head"):
            html.h2(camera.name)
            pill = _text("span", "c-pill")
        with html.div().classes("view"):
            picture = html.img()
            picture.props["data-camera"] = camera.name
            picture.props["alt"] = f"Live picture of {camera.name}; who is not enrolled is covered"
            with html.div().classes("c-nothing"):
                nothing, detail = _text("strong"), _text("span")
        recognition = _text("p", "c-recognition")
        with html.details().classes("c-facts"):
            counts, drops = _text("summary"), _text("p")
    return _CameraCard(camera, pill, nothing, detail, recognition, counts, drops)


def _card(title: str, anchor: str) -> tuple[Element, TextElement]:
    """A card; returns the place for its rows and the one for their number."""
    labelled = f'aria-labelledby="{anchor}-title"'
    with html.section().props(f'id="{anchor}" tabindex="-1" {labelled}').classes("c-card"):
        with html.div().classes("c-head"):
            html.h2(title).props(f'id="{anchor}-title"')
            count = _text("span", "c-count")
        rows = html.div().props(f'tabindex="0" role="region" {labelled}').classes("c-feed")
    return rows, count


def _text(tag: str, classes: str = "") -> TextElement:
    """An element whose text changes."""
    return TextElement(tag=tag, text="").classes(classes)


def _banner(kind: str, title: str, text: str) -> Element:
    banner: Element = html.div().props('role="status"').classes(f"c-banner {kind}")
    with banner:
        html.strong(title)
        html.span(text)
    return banner


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split()[:2]).upper()


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"
