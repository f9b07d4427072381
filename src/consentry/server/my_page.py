"""The HTML of a person's own page: everything held about them, and what they can do about it.

Whatever comes from the database passes through `_text`, also what operators wrote.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi.responses import HTMLResponse

from consentry.errors import ConsentryError
from consentry.people.consent import ConsentRecord
from consentry.people.declaration import Declaration
from consentry.people.erase import ErasureReport
from consentry.people.held import Held, HeldConsent, Look
from consentry.people.sightings import RecordedSighting
from consentry.server.my_words import (
    event_words,
    given_by_words,
    many,
    moment_words,
    scope_words,
    sighting_words,
    utc_words,
    who_words,
)
from consentry.server.plain_page import PALETTE, plain_page

MOST_SHOWN = 100
_STYLE = (
    PALETTE
    + """
body { margin: 0; padding: 1rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { width: min(46rem, 100%); margin: 0 auto; }
section, .said { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.25rem; margin: 1rem 0; }
h1 { margin: .5rem 0 .25rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; }
h3 { margin: 0 0 .25rem; font-size: 1rem; }
p { margin: 0 0 .75rem; }
p:last-child, ul:last-child { margin-bottom: 0; }
.button + p, form + p, input + p { margin-top: .75rem; }
.soft, dt, time { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .75rem 0; }
nav a { padding: .35rem 0; }
dl { display: grid; grid-template-columns: minmax(8rem, 30%) 1fr; gap: .35rem 1rem; margin: 0 0 .75rem; }
dd { margin: 0; }
ul { list-style: none; margin: 0 0 .75rem; padding: 0; }
li { padding: .6rem 0; border-top: 1px solid var(--line); }
li:first-child { border-top: 0; padding-top: 0; }
ul.goes { list-style: disc; padding-left: 1.25rem; }
ul.goes li { border: 0; padding: .15rem 0; }
ul.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; }
ul.photos li { border: 0; padding: 0; }
img { display: block; width: 100%; height: 11rem; object-fit: contain; border-radius: 8px;
  background: var(--back); }
pre { white-space: pre-wrap; font-size: .8rem; }
summary { margin: .75rem 0; cursor: pointer; }
time { display: block; font-size: .9rem; }
label { display: block; margin: .75rem 0 .35rem; font-weight: 600; }
input { width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--soft); border-radius: 8px; }
button, .button { display: inline-block; margin: .75rem .5rem 0 0; padding: .7rem 1.1rem; min-height: 2.75rem;
  font: inherit; font-weight: 600; line-height: 1.25; text-align: center; text-decoration: none;
  cursor: pointer; color: var(--on-main); background: var(--main); border: 1px solid var(--main);
  border-radius: 8px; }
.plain { color: var(--main); background: transparent; }
.away { color: var(--card); background: var(--bad); border-color: var(--bad); }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  button, .button { width: 100%; margin-right: 0; } }
"""
)
_PARTS = (
    ("consents", "Consents"),
    ("photos", "Photos"),
    ("sightings", "Sightings"),
    ("looks", "Who looked"),
    ("correct", "Correct"),
    ("end", "Withdraw"),
)


@dataclass(frozen=True, slots=True)
class MyPage:
    """What the page shows.

    Attributes:
        held: Everything but the rest.
        sightings: The newest.
        receipts: Number of receipts.
        models: Names of models by their SHA-256, as far as they are known.
        declaration: Who answers for it all; None if nobody has declared.
        closes_unix_s: When the session ends.
        said: What has just been done; empty for nothing.
        problem: Why something was not done; empty for nothing.
    """

    held: Held
    sightings: Sequence[RecordedSighting]
    receipts: int
    models: dict[str, str]
    declaration: Declaration | None
    closes_unix_s: float
    said: str = ""
    problem: str = ""


def show_my_page(page: MyPage, *, status: int = 200) -> HTMLResponse:
    """The whole page."""
    closes = datetime.fromtimestamp(page.closes_unix_s, UTC).strftime("%H:%M UTC")
    links = "".join(f'<a href="#{part}">{words}</a>' for part, words in _PARTS)
    body = f"""<header><h1>What is held about you</h1>
<p class="soft">Whoever has your personal link can open this page. It closes at {closes}.</p></header>
{_said(page.said)}{_problem(page.problem)}<nav aria-label="Parts of this page">{links}</nav>
{_in_short(page)}{_consents(page.held)}{_photos(page)}{_sightings(page)}{_looks(page.held.looks)}
{_correct(page.held)}{_end(page)}"""
    return _page("What is held about you", body, status=status, pictures=True)


def show_what_goes(
    held: Held, only: HeldConsent | None, declaration: Declaration | None, *, problem: str = ""
) -> HTMLResponse:
    """The page before a withdrawal: what will be gone, and one button.

    Args:
        only: The one consent to withdraw; None for everything.
    """
    if only is None:
        body = f"""<h1>Withdraw and erase everything</h1>{_problem(problem)}
<section><h2>This will be gone</h2>
<ul class="goes"><li>your name</li><li>{many(held.photos, "photo")}</li>
<li>{many(sum(held.templates.values()), "template")} of your face</li>
<li>{many(len(held.consents), "consent record")}, your receipts kept here and your personal links</li>
<li>your name on {many(held.sightings, "sighting")}</li>
<li>the key without which no copy of these can be read</li></ul>
<p>Within seconds no camera recognises you. It cannot be undone; you can enrol again later.</p>
<p class="soft">What stays: that and when something was logged, without saying about whom, and a code
made from a random number, so that an old backup cannot bring you back.</p></section>
<section><h2>What you get instead</h2>{_alternatives(one.record for one in held.consents)}</section>"""
        button, title = "Withdraw and erase everything", "Withdraw"
    else:
        purpose = _text(only.record.purpose)
        body = f"""<h1>Withdraw your consent to “{purpose}”</h1>{_problem(problem)}
<section><h2>This will end</h2><p>You will not be recognised for “{purpose}” any more, from within seconds on.
Your other consents stay, and your photos with them.</p></section>
<section><h2>What you get instead</h2>{_alternatives([only.record])}</section>"""
        button, title = f"Withdraw “{purpose}”", "Withdraw one consent"
    chosen = f'<input type="hidden" name="consent" value="{_text(only.id)}">' if only else ""
    body += f"""<form method="post" action="/my/withdraw">{chosen}
<button class="away" type="submit">{button}</button>
<a class="button plain" href="/my">Keep it as it is</a></form>{_contact(declaration)}"""
    return _page(title, body)


def show_withdrawn(report: ErasureReport, declaration: Declaration | None, receipt: bytes) -> HTMLResponse:
    """The last page: what was destroyed.

    Args:
        receipt: Of the erasure, JSON; empty if none could be made. It is kept nowhere, so it is in the page.
    """
    elsewhere = ", ".join(report.name_also_in)
    not_sought = (
        f"<p>The same letters as your name stand elsewhere, in {_text(elsewhere)}; they were left there.</p>"
        if elsewhere
        else ""
    )
    body = f"""<h1>You have withdrawn</h1><section><h2>This is gone</h2>
<ul class="goes"><li>your name, your consent records and the key they were sealed with</li>
<li>{many(report.photos, "photo")} and {many(report.templates, "template")} of your face</li>
<li>your name on {many(report.sightings, "sighting")}</li>
<li>what {many(report.ledger_payloads, "entry", "entries")} of the log said about you</li></ul>
<p>Afterwards {many(report.files_scanned, "file")} of this installation were searched for
{many(report.needles, "trace")} of you: none was found.</p>{not_sought}
<p>This withdrawal is entry <strong>{report.ledger_seq}</strong> of the log, without your name.</p></section>
{_erasure_receipt(receipt)}{_contact(declaration)}
<p class="soft">Your personal link leads nowhere now. You can close this page.</p>"""
    return _page("Withdrawn", body)


def show_message(title: str, *paragraphs: str, status: int, back: bool = False) -> HTMLResponse:
    """A page that says one thing."""
    said = "".join(f"<p>{_text(words)}</p>" for words in paragraphs)
    link = '<p><a class="button plain" href="/my">Back to your page</a></p>' if back else ""
    return _page(title, f"<h1>{_text(title)}</h1><section>{said}{link}</section>", status=status)


def show_refusal(error: ConsentryError) -> HTMLResponse:
    """The page for a request that the guard lets nobody make."""
    return show_message(
        "That did not work",
        _sentence(error.cause),
        "If your page was open for more than half an hour, it has closed: open your personal link again.",
        status=error.http_status,
    )


def show_way_in() -> HTMLResponse:
    """The page that a personal link leads to: it goes on at once, so that the link leaves the address bar.

    No redirect: after one that began elsewhere the browser would hold the strict cookie back.
    """
    body = '<h1>One moment</h1><p><a href="/my">Go on to your page</a></p>'
    return plain_page("Your page", body, style=_STYLE, leads_to="/my")


def _in_short(page: MyPage) -> str:
    held = page.held
    templates = "".join(
        f"<li>{many(count, 'template')} by {_text(page.models.get(sha256, 'a model of an earlier time'))} "
        f'<span class="soft">(SHA-256 {_text(sha256[:12])}…)</span></li>'
        for sha256, count in held.templates.items()
    )
    ends = utc_words(datetime.fromtimestamp(held.ends_unix_s, UTC)) if math.isfinite(held.ends_unix_s) else ""
    refused = (
        f"<p>No photo of you could be used ({_text(held.refusal)}), so none was kept, and no camera "
        'recognises you. You can <a href="#photos">give another one</a>.</p>'
        if held.refusal
        else ""
    )
    return f"""<section aria-labelledby="short"><h2 id="short">In short</h2>{refused}<dl>
<dt>Name</dt><dd>{_text(held.name)}</dd>
<dt>Known here since</dt><dd>{moment_words(held.enrolled_unix_ms)}</dd>
<dt>Erased by</dt><dd>{ends or "soon: no consent is in force"}, or at once when you withdraw</dd>
<dt>Templates</dt><dd><ul class="goes">{templates or "<li>none</li>"}</ul>
<span class="soft">A template is a row of numbers that a model made from your face. It never leaves this
server, so neither this page nor your copy shows it.</span></dd></dl>
<a class="button" href="/my/export.zip" download>Download everything (ZIP)</a>{_receipts(page.receipts)}
{_contact(page.declaration)}</section>"""


def _erasure_receipt(receipt: bytes) -> str:
    if not receipt:
        return ""
    return f"""<section><h2>Your proof</h2><p>A signed receipt of the erasure. It is kept nowhere else:
save it now.</p><a class="button" download="erasure-receipt.json"
href="data:application/json;base64,{base64.b64encode(receipt).decode()}">Save the receipt (JSON)</a>
<details><summary>Or copy it from here</summary><pre>{_text(receipt.decode())}</pre></details></section>"""


def _receipts(count: int) -> str:
    return "".join(
        f'<a class="button plain" href="/my/receipts/{number}" download>Receipt'
        f"{f' {number} of {count}' if count > 1 else ''} (JSON)</a>"
        for number in range(1, count + 1)
    )


def _consents(held: Held) -> str:
    several = sum(one.why_not is None for one in held.consents) > 1
    return f"""<section aria-labelledby="consents"><h2 id="consents">What you agreed to</h2>
<ul>{"".join(_consent(one, several) for one in held.consents) or "<li>Nothing.</li>"}</ul></section>"""


def _consent(one: HeldConsent, several: bool) -> str:
    record = one.record
    state = "in force" if one.why_not is None else f"not in force: it {one.why_not}"
    shown = "your face may stay visible" if record.may_be_shown else "your face is covered"
    notice = record.notice
    only = (
        f'<a href="/my/withdraw?consent={_text(one.id)}">Withdraw only “{_text(record.purpose)}”</a>'
        if several and one.why_not is None
        else ""
    )
    return f"""<li><h3>{_text(record.purpose)}</h3><dl>
<dt>State</dt><dd>{_text(state)}</dd>
<dt>Given</dt><dd>{utc_words(record.given_on)}, by {given_by_words(record.given_by)}</dd>
<dt>Valid</dt><dd>{utc_words(record.valid_from)} to {utc_words(record.valid_until)}</dd>
<dt>Where</dt><dd>{_text(scope_words(record.scope))}</dd>
<dt>In pictures</dt><dd>{shown}</dd>
<dt>Notice</dt><dd>{_text(notice.uri)}, version {_text(notice.version)}
<span class="soft">(SHA-256 {notice.sha256[:12]}…)</span></dd>
<dt>Instead of it</dt><dd>{_text(record.alternative)}</dd></dl>{only}</li>"""


def _photos(page: MyPage) -> str:
    count = page.held.photos
    pictures = "".join(
        f'<li><a href="/my/photos/{number}"><img src="/my/photos/{number}" alt="Photo {number} of {count}" '
        'loading="lazy"></a></li>'
        for number in range(1, count + 1)
    )
    kept = f'<ul class="photos">{pictures}</ul>' if count else "<p>None is kept.</p>"
    return f"""<section aria-labelledby="photos"><h2 id="photos">Your photos</h2>{kept}
<form method="post" action="/my/photos" enctype="multipart/form-data">
<label for="photo">Add newer photos</label>
<input id="photo" name="photo" type="file" accept="image/*" multiple required aria-describedby="photo-rules">
<p class="soft" id="photo-rules">Each must show you alone, large, sharp and from the front. They are sealed
and kept with the others.</p><button type="submit">Add photos</button></form></section>"""


def _sightings(page: MyPage) -> str:
    rows = "".join(
        f"<li><time>{moment_words(one.sighting.first_unix_ms)}</time>"
        f"{_text(one.sighting.camera)}: {sighting_words(one.sighting)}</li>"
        for one in page.sightings
    )
    return f"""<section aria-labelledby="sightings"><h2 id="sightings">Where you were seen</h2>
<p class="soft">A score is no probability. Scores go from -1 to 1.</p>
<ul>{rows or "<li>No camera has recognised you.</li>"}</ul>{_rest(page.held.sightings)}</section>"""


def _looks(looks: Sequence[Look]) -> str:
    rows = "".join(
        f"<li><time>{moment_words(look.time_unix_ms)}</time>{_text(event_words(look.event))} "
        f"by {_text(who_words(look))}{f', for: {_text(look.why)}' if look.why else ''} "
        f'<span class="soft">(entry {look.seq})</span></li>'
        for look in looks[:MOST_SHOWN]
    )
    return f"""<section aria-labelledby="looks"><h2 id="looks">Who looked, and why</h2>
<p class="soft">From a log that cannot be rewritten unnoticed. Whoever opens the list of people or the live
pictures is logged too, but for all people at once, so not here.</p>
<ul>{rows}</ul>{_rest(len(looks))}</section>"""


def _rest(count: int) -> str:
    return f"<p>The newest {MOST_SHOWN} of {count}. The download has all.</p>" if count > MOST_SHOWN else ""


def _correct(held: Held) -> str:
    return f"""<section aria-labelledby="correct"><h2 id="correct">Correct your name</h2>
<form method="post" action="/my/name"><label for="name">Name</label>
<input id="name" name="name" value="{_text(held.name)}" required maxlength="200" autocomplete="name">
<button type="submit">Correct name</button></form></section>"""


def _end(page: MyPage) -> str:
    return f"""<section aria-labelledby="end"><h2 id="end">Withdraw</h2>
<p>You can say no at any time, without a reason. What you get instead:</p>
{_alternatives(one.record for one in page.held.consents)}
<a class="button away" href="/my/withdraw">Withdraw…</a>
<form method="post" action="/my/leave"><button class="plain" type="submit">Close this page only</button>
</form></section>"""


def _alternatives(records: Iterable[ConsentRecord]) -> str:
    offered = dict.fromkeys(record.alternative for record in records)
    return f'<ul class="goes">{"".join(f"<li>{_text(one)}</li>" for one in offered)}</ul>'


def _contact(declaration: Declaration | None) -> str:
    if declaration is None:
        return ""
    return (
        f'<p class="soft">Who answers for this: {_text(declaration.controller)}. '
        f"Ask: {_text(declaration.contact)}.</p>"
    )


def _said(words: str) -> str:
    return f'<p class="said" role="status">{_text(words)}</p>' if words else ""


def _problem(words: str) -> str:
    return f'<p class="said bad" role="alert">{_text(_sentence(words))}</p>' if words else ""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith((".", "”", "`")) else ".")


def _page(title: str, body: str, *, status: int = 200, pictures: bool = False) -> HTMLResponse:
    return plain_page(title, body, style=_STYLE, status=status, pictures=pictures)


def _text(words: str) -> str:
    return html.escape(words)
