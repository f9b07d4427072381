"""The addresses of a person's own page, reached by a personal link and without an account.

The guard lets all of `/my` through; each route but the way in asks for the session itself, through `mine`.
Answers are pages for people, also when something fails.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import structlog
from fastapi import APIRouter, Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from consentry.errors import (
    ConsentInvalid,
    ConsentryError,
    DuplicatePerson,
    EnrolmentRefused,
    ErasureIncomplete,
    NotFound,
    TooManyAttempts,
    UsageError,
)
from consentry.ledger.entry import Event
from consentry.models.catalogue import Catalogue
from consentry.people.consents import withdraw_consent
from consentry.people.correct import correct_name
from consentry.people.declaration import Declaration, current_declaration
from consentry.people.enrol import add_photos
from consentry.people.erase import ErasureReport, withdraw
from consentry.people.held import Held, HeldConsent, held_about, is_held, own_photo
from consentry.people.own_copy import ask_own_copy
from consentry.people.receipts import Terms, issue_erasure_receipt, receipts_of
from consentry.people.requests import THE_PERSON, RequestKind, RequestOutcome, record_request
from consentry.people.roster import photo_ending
from consentry.people.sightings import sightings_of
from consentry.server.api_session import address_of
from consentry.server.my_page import (
    MOST_SHOWN,
    MyPage,
    show_message,
    show_my_page,
    show_way_in,
    show_what_goes,
    show_withdrawn,
)
from consentry.server.my_session import MySessions, my_token, set_my_cookie, take_my_cookie
from consentry.server.services import Behind, Services
from consentry.server.uploads import MOST_PHOTOS, photos, with_form

LONGEST_FIELD = 1024
MOST_NUMBERED = 100_000
_SHOWABLE = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "bmp": "image/bmp"}
_DONE = {
    "name": "Your name has been corrected.",
    "photo": "Your photo has been added.",
    "consent": "That consent has been withdrawn.",
}

log = structlog.get_logger("consentry.server")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class NoSession(NotFound):
    """No personal link has been opened here, or it leads to nobody."""


class _Friendly(APIRoute):
    """Answers errors with a page instead of a problem in JSON."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def friendly(request: Request) -> Response:
            try:
                return await handler(request)
            except NoSession:
                return _leads_nowhere()
            except RequestValidationError:
                return show_message("Not found", "There is no such page.", status=404, back=True)
            except ConsentryError as error:
                if error.http_status >= 500:
                    log.error("request_failed", error=type(error).__name__, cause=error.cause)
                return show_message("That did not work", str(error), status=error.http_status, back=True)

        return friendly


my_routes = APIRouter(prefix="/my", include_in_schema=False, route_class=_Friendly)


@dataclass(frozen=True, slots=True)
class Mine:
    """Whose page it is, and by which session."""

    person_id: str
    closes_unix_s: float
    token: str = field(repr=False)


def mine(request: Request, behind: Behind) -> Mine:
    """The person whose session this is. Their first look of each session is logged.

    Raises:
        NoSession: there is none, it has ended, or its person has withdrawn.
        LedgerBroken, DiskFull, DataDamaged, EnvironmentLack: the look cannot be logged.
    """
    token = my_token(request.headers)
    session = _sessions(request).session(token)
    if token is None or session is None or not is_held(behind.site, session.person_id):
        raise NoSession("no personal link was opened here, or not lately", "Open the link of your receipt")
    _sessions(request).seen(token)
    left_s = session.until_s - behind.clock.monotonic_s()
    return Mine(session.person_id, behind.clock.unix_s() + left_s, token)


Own = Annotated[Mine, Depends(mine)]
Number = Annotated[int, Path(ge=1, le=MOST_NUMBERED)]


@my_routes.get("")
def my_page(own: Own, behind: Behind, done: str = "") -> Response:
    """Everything held about the person."""
    return _page(own, behind, said=_DONE.get(done, ""))


@my_routes.get("/photos/{number}")
def my_photo(number: Number, own: Own, behind: Behind) -> Response:
    """One of the person's photos, as it was given."""
    original = own_photo(behind.site, own.person_id, number)
    ending = photo_ending(original)
    how = "inline" if ending in _SHOWABLE else "attachment"
    return Response(
        original,
        media_type=_SHOWABLE.get(ending, "application/octet-stream"),
        headers={
            "Content-Disposition": f'{how}; filename="photo-{number}.{ending}"',
            "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        },
    )


@my_routes.get("/export.zip")
def my_copy(own: Own, behind: Behind) -> Response:
    """A copy of everything, made while it is sent; logged, and counted as a request."""
    copy = ask_own_copy(behind.site, own.person_id, behind.settings.retention)
    return StreamingResponse(
        copy.zipped(),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="held-about-me.zip"'},
    )


@my_routes.post("/name")
async def correct_my_name(request: Request, own: Own, behind: Behind) -> Response:
    """Correct the name."""
    name = await _field(request, "name")
    try:
        await run_in_threadpool(correct_name, behind.site, own.person_id, name, actor=THE_PERSON)
    except ConsentryError as error:
        return await run_in_threadpool(_page, own, behind, problem=str(error), status=error.http_status)
    return RedirectResponse("/my?done=name", status_code=303)


@my_routes.post("/photos")
async def add_my_photos(request: Request, own: Own, behind: Behind) -> Response:
    """Add photos, by the rules of enrolment. Someone whose photos were refused is enrolled by it."""
    sessions = _sessions(request)
    try:
        await with_form(request, lambda form: _add_photos(form, sessions, own, behind))
    except ConsentryError as error:
        return await run_in_threadpool(_page, own, behind, problem=str(error), status=error.http_status)
    return RedirectResponse("/my?done=photo", status_code=303)


@my_routes.get("/receipts/{number}")
def my_receipt(number: Number, own: Own, behind: Behind) -> Response:
    """One of the person's receipts, from 1, newest first."""
    receipts = receipts_of(behind.site, own.person_id)
    if number > len(receipts):
        raise NotFound(f"there is no receipt {number}", "Open your page anew")
    return Response(
        receipts[number - 1],
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="receipt-{number}.json"'},
    )


@my_routes.get("/withdraw")
def what_goes(own: Own, behind: Behind, consent: str = "") -> Response:
    """What a withdrawal will destroy, and the button for it."""
    held = _held(own, behind)
    return show_what_goes(held, _chosen(held, consent), _declaration(behind))


@my_routes.post("/withdraw")
async def withdraw_mine(request: Request, own: Own, behind: Behind) -> Response:
    """Withdraw everything, or one consent of several."""
    consent_id = await _field(request, "consent")
    return await run_in_threadpool(_withdraw, request, own, behind, consent_id)


@my_routes.post("/leave")
def leave(request: Request, own: Own) -> Response:
    """End the session; the link opens another."""
    _sessions(request).close(own.token)
    answer = show_message("Closed", "Your personal link opens the page again.", status=200)
    take_my_cookie(answer)
    return answer


# last, because it would take the addresses above for secrets
@my_routes.get("/{link_token}")
def way_in(link_token: str, request: Request, behind: Behind) -> Response:
    """Open a session for whoever holds the link, and lead on to an address without the secret."""
    answer: Response
    try:
        token = _sessions(request).open(link_token, address_of(request))
    except TooManyAttempts as error:
        answer = show_message(
            "Too many links that lead nowhere", "Try again in a quarter of an hour.", status=error.http_status
        )
    except NotFound:
        answer = _leads_nowhere()
    else:
        answer = show_way_in()
        set_my_cookie(answer, token, secure=_came_by_https(request, behind))
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _add_photos(form: FormData, sessions: MySessions, own: Mine, behind: Services) -> None:
    sessions.check_photos(own.person_id)
    given = photos(form, "photo", max_pixels=behind.settings.media.max_pixels)
    kept = _held(own, behind).photos
    if kept + len(given) > MOST_PHOTOS:
        raise UsageError(f"{kept} photos are kept, {MOST_PHOTOS} at most", "Give fewer")
    with behind.site.write() as session:  # the photos are compared with everyone: a search like any other
        behind.site.log(
            session,
            Event.SEARCH_MADE,
            actor=THE_PERSON,
            payload={"kind": "enrol", "photos": len(given)},
        )
    try:
        add_photos(
            behind.site,
            behind.analyser,
            own.person_id,
            given,
            actor=THE_PERSON,
            terms=Terms.of(behind.settings),
        )
    except DuplicatePerson:
        sessions.photo_refused(own.person_id)
        # whose face it is too must not be known here, not even that it is known
        raise EnrolmentRefused("this photo cannot be added", "Ask those who run this site") from None
    except EnrolmentRefused:
        sessions.photo_refused(own.person_id)
        raise
    except ConsentInvalid as error:
        raise ConsentInvalid(error.cause, "A photo needs a consent: ask those who run this site") from None
    _count(behind, "correct", "done")


def _withdraw(request: Request, own: Mine, behind: Services, consent_id: str) -> Response:
    declaration = _declaration(behind)
    only = _chosen(_held(own, behind), consent_id)
    answer: Response
    try:
        if only is not None:
            taken = withdraw_consent(
                behind.site, own.person_id, only.id, THE_PERSON, terms=Terms.of(behind.settings)
            )
            report, receipt = taken.erasure, taken.erasure_receipt
        else:
            report = withdraw(behind.site, own.person_id, reason="asked", actor=THE_PERSON)
            receipt = _receipt_of(behind, report)
    except NotFound:
        raise NoSession("they have withdrawn meanwhile") from None
    except ConsentryError as error:
        # the person may be erased all the same: this decides what is true to say
        _count(behind, "erase", "open")
        if is_held(behind.site, own.person_id):
            raise
        log.error("erasure_incomplete", error=type(error).__name__, cause=error.cause)
        answer = _half_withdrawn(error, declaration)
    else:
        if report is None:
            _count(behind, "object", "done")
            return RedirectResponse("/my?done=consent", status_code=303)
        _count(behind, "erase", "done")
        answer = show_withdrawn(report, declaration, receipt)
    _sessions(request).close_all(own.person_id)
    take_my_cookie(answer)
    return answer


def _receipt_of(behind: Services, report: ErasureReport) -> bytes:
    """The proof of an erasure; empty if it could not be made, for the erasure stands all the same."""
    try:
        return issue_erasure_receipt(behind.site, report, actor=THE_PERSON)
    except ConsentryError as error:
        log.error("erasure_receipt_not_made", error=type(error).__name__, cause=error.cause)
        return b""


def _half_withdrawn(error: ConsentryError, declaration: Declaration | None) -> Response:
    rest = (
        f"Something of you may still be readable on this server: {error.cause}."
        if isinstance(error, ErasureIncomplete)
        else f"The server could not finish clearing up, and will do so when it starts anew: {error.cause}."
    )
    ask = f"Ask {declaration.controller}, {declaration.contact}, to see to it." if declaration else ""
    return show_message(
        "You have withdrawn, but not all is clean",
        "Your name, photos, templates and the key they were sealed with are destroyed. No camera recognises "
        "you any more.",
        f"{rest} {ask}",
        status=error.http_status,
    )


def _page(own: Mine, behind: Services, *, said: str = "", problem: str = "", status: int = 200) -> Response:
    page = MyPage(
        held=_held(own, behind),
        sightings=sightings_of(behind.site, own.person_id, limit=MOST_SHOWN),
        receipts=len(receipts_of(behind.site, own.person_id)),
        models={entry.sha256: entry.name for entry in Catalogue.load().models},
        declaration=_declaration(behind),
        closes_unix_s=own.closes_unix_s,
        said=said,
        problem=problem,
    )
    return show_my_page(page, status=status)


def _held(own: Mine, behind: Services) -> Held:
    return held_about(behind.site, own.person_id, behind.settings.retention)


def _chosen(held: Held, consent_id: str) -> HeldConsent | None:
    """The consent that is meant; None if none was named, or it is the only one: then everything goes.

    Raises:
        NotFound: the person has no such consent.
    """
    live = [one for one in held.consents if one.why_not is None]
    if not consent_id or [one.id for one in live] == [consent_id]:
        return None
    chosen = next((one for one in live if one.id == consent_id), None)
    if chosen is None:
        raise NotFound("you have no such consent in force", "Open your page anew")
    return chosen


def _count(behind: Services, kind: RequestKind, outcome: RequestOutcome) -> None:
    """Count a request once it was tried. That it cannot be counted must not undo it."""
    try:
        with behind.site.write() as session:
            record_request(behind.site, session, kind, outcome)
    except ConsentryError as error:
        log.error("request_not_counted", error=type(error).__name__, cause=error.cause)


async def _field(request: Request, name: str) -> str:
    """A field of a form, empty if it is not there. The guard has bounded the whole."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return fields.get(name, [""])[0][:LONGEST_FIELD]


def _came_by_https(request: Request, behind: Services) -> bool:
    """Whether the browser speaks https with this server, or with the proxy that is its public address."""
    public = urlsplit(behind.settings.server.public_url)
    by_proxy = public.scheme == "https" and public.netloc == request.headers.get("host")
    return request.url.scheme == "https" or by_proxy


def _declaration(behind: Services) -> Declaration | None:
    declared = current_declaration(behind.site)
    return declared.declaration if declared else None


def _sessions(request: Request) -> MySessions:
    sessions = request.app.state.my_sessions
    assert isinstance(sessions, MySessions)
    return sessions


def _leads_nowhere() -> Response:
    return show_message(
        "This link leads nowhere",
        "It may have been mistyped, or cut short when it was copied; its page may have closed after half an "
        "hour; or nothing is held any more.",
        "Open the link of your newest receipt again. If you withdrew, that is how it should be.",
        status=404,
    )
