"""`consentry person`: enrol, list, show, link, withdraw, export; more consents and photos, refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.actor import cli_actor
from consentry.cli.options import DataDir, JsonOut, data_dir, print_json
from consentry.clock import SystemClock, iso_utc
from consentry.config import Retention, Settings, load_settings
from consentry.errors import EnrolmentRefused, UsageError
from consentry.people.consent import demo_consent, held_until_unix_s, read_consent
from consentry.people.consents import add_consent, record_refusal, withdraw_consent
from consentry.people.enrol import Photo, add_photos, enrol, require_enrolment_consent
from consentry.people.erase import withdraw
from consentry.people.links import hand_out_link
from consentry.people.receipts import Terms, issue_erasure_receipt, receipts_of
from consentry.people.roster import Person, PersonExport, export_person, list_people, show_person
from consentry.people.site import Site
from consentry.store.failures import mapped_errors
from consentry.store.files import write_new_file

app = typer.Typer(help="People who enrolled: with consent, under seal, erased when they withdraw.")

PersonId = Annotated[str, typer.Argument(metavar="ID", help="As `person list` shows it.")]
ReceiptFile = Annotated[
    Path | None, typer.Option("--receipt", metavar="FILE", help="New file for the person's signed receipt.")
]


@app.command("enrol")
def enrol_command(
    name: Annotated[str, typer.Argument(help="The person's name; kept under seal.")],
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO…", help="Photos that each show this one person.")
    ],
    consent: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The person's consent record, JSON.")
    ] = None,
    consent_demo: Annotated[
        bool, typer.Option("--consent-demo", help="Only in a demo folder: no real person.")
    ] = False,
    keep_refused: Annotated[
        bool,
        typer.Option("--keep-refused", help="If the photos cannot be used, keep the person without any."),
    ] = False,
    receipt: ReceiptFile = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Enrol one person from photos, with their consent. All of it or nothing is kept."""
    from consentry.cli.engines import photo_analyser

    if (consent is None) != consent_demo:
        raise UsageError(
            "enrolment needs a consent record, and one only",
            "Give --consent FILE, or --consent-demo in a demo",
        )
    _require_new(receipt)
    clock = SystemClock()
    record = demo_consent(clock.unix_s()) if consent is None else read_consent(consent)
    folder = data_dir(data)
    settings = load_settings(folder)
    with Site.open(folder, clock=clock, create=True) as site:
        require_enrolment_consent(site, record, name)
        decoded = _decoded(photos, settings)
        try:
            result = enrol(
                site,
                photo_analyser(settings),
                name=name,
                photos=decoded,
                consent=record,
                actor=cli_actor(),
                keep_refused=keep_refused,
                terms=Terms.of(settings),
            )
        except EnrolmentRefused as refusal:
            if refusal.receipt:
                _write_receipt(receipt, refusal.receipt)
            raise
    _write_receipt(receipt, result.receipt)
    if json_out:
        print_json(asdict(result) | {"receipt": json.loads(result.receipt)})
        return
    typer.echo(f"Enrolled {name} as person {result.person_id} from {len(result.photos)} photo(s).")


@app.command("add-photos")
def add_photos_command(
    person_id: PersonId,
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO…", help="Photos that each show this one person.")
    ],
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Give someone more photos, or the first that can be used if theirs were refused."""
    from consentry.cli.engines import photo_analyser

    folder = data_dir(data)
    settings = load_settings(folder)
    with Site.open(folder, clock=SystemClock()) as site:
        added = add_photos(
            site,
            photo_analyser(settings),
            person_id,
            _decoded(photos, settings),
            actor=cli_actor(),
            terms=Terms.of(settings),
        )
    if json_out:
        print_json(asdict(added))
        return
    typer.echo(f"Added {len(added.photos)} photo(s) to person {person_id}.")


@app.command("add-consent")
def add_consent_command(
    person_id: PersonId,
    consent: Annotated[Path, typer.Option(metavar="FILE", help="The new consent record, JSON.")],
    receipt: ReceiptFile = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Keep another consent of someone enrolled: to a second purpose, or a renewal."""
    _require_new(receipt)
    folder = data_dir(data)
    terms = Terms.of(load_settings(folder))
    with Site.open(folder, clock=SystemClock()) as site:
        added = add_consent(site, person_id, read_consent(consent), cli_actor(), terms=terms)
    _write_receipt(receipt, added.receipt)
    if json_out:
        print_json(asdict(added) | {"receipt": json.loads(added.receipt)})
        return
    typer.echo(f"Kept consent {added.consent_id} of person {person_id}.")


@app.command("withdraw-consent")
def withdraw_consent_command(
    person_id: PersonId,
    consent_id: Annotated[str, typer.Argument(metavar="CONSENT", help="As `person show` shows it.")],
    receipt: ReceiptFile = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Take back one consent; without another one in force, the person is erased."""
    _require_new(receipt)
    folder = data_dir(data)
    terms = Terms.of(load_settings(folder))
    with Site.open(folder, clock=SystemClock()) as site:
        ended = withdraw_consent(site, person_id, consent_id, cli_actor(), terms=terms)
    _write_receipt(receipt, ended.erasure_receipt or ended.receipt)
    if json_out:
        print_json(
            {
                "receipt": json.loads(ended.receipt),
                "erasure": asdict(ended.erasure) if ended.erasure else None,
                "erasure_receipt": json.loads(ended.erasure_receipt) if ended.erasure_receipt else None,
            }
        )
    elif ended.erasure is None:
        typer.echo(f"Withdrew consent {consent_id}; another one of person {person_id} is in force.")
    else:
        typer.echo(f"Withdrew consent {consent_id}, the last one in force: erased person {person_id}.")


@app.command("refuse")
def refuse_command(
    consent: Annotated[Path, typer.Option(metavar="FILE", help="The record of the refusal, JSON.")],
    receipt: ReceiptFile = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Note that someone refused: nothing of them is kept, the ledger counts it, they get a receipt."""
    _require_new(receipt)
    folder = data_dir(data)
    terms = Terms.of(load_settings(folder))
    with Site.open(folder, clock=SystemClock()) as site:
        content = record_refusal(site, read_consent(consent), cli_actor(), terms=terms)
    _write_receipt(receipt, content)
    if json_out:
        print_json({"receipt": json.loads(content)})
        return
    typer.echo("Noted a refusal; nothing of the person was kept.")


@app.command("receipts")
def receipts_command(person_id: PersonId, data: DataDir = None, json_out: JsonOut = False) -> None:
    """List someone's receipts, newest first, with --json as they are; the ledger notes that you looked."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        show_person(site, person_id, actor=cli_actor())
        receipts = [json.loads(content) for content in receipts_of(site, person_id)]
    if json_out:
        print_json(receipts)
        return
    for stated in (receipt["receipt"] for receipt in receipts):
        purposes = ", ".join(part["purpose"] for part in stated["purposes"])
        typer.echo(f"{stated['issued']}  {stated['kind']}  {purposes}  {stated['record']['record_id']}")


@app.command("list")
def list_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List everyone enrolled."""
    folder = data_dir(data)
    retention = load_settings(folder).retention
    with Site.open(folder, clock=SystemClock()) as site:
        people = list_people(site)
    if json_out:
        print_json([_summary(person, retention) for person in people])
        return
    if not people:
        typer.echo("Nobody is enrolled.")
    for person in people:
        typer.echo(f"{person.id}  {person.name}  {_state(person, retention)}")


@app.command("show")
def show_command(person_id: PersonId, data: DataDir = None, json_out: JsonOut = False) -> None:
    """Show one person and what they consented to; the ledger notes that you looked."""
    folder = data_dir(data)
    retention = load_settings(folder).retention
    with Site.open(folder, clock=SystemClock()) as site:
        person = show_person(site, person_id, actor=cli_actor())
    consents = [
        {"id": consent_id} | consent.model_dump(mode="json")
        for consent_id, consent in zip(person.consent_ids, person.consents, strict=True)
    ]
    if json_out:
        print_json(_summary(person, retention) | {"consents": consents})
        return
    typer.echo(f"{person.name}  {person.id}\n{_state(person, retention)}")
    typer.echo(f"{person.photos} photo(s), {person.templates} template(s)")
    for consent in consents:
        typer.echo("consent " + json.dumps(consent, indent=2, ensure_ascii=False))


@app.command("link")
def link_command(person_id: PersonId, data: DataDir = None, json_out: JsonOut = False) -> None:
    """Print a fresh link to someone's own page, for who lost theirs; the ledger notes it.

    Whoever has it is that person to the server: hand it to nobody else. Earlier links stay valid.
    """
    folder = data_dir(data)
    server = load_settings(folder).server
    with Site.open(folder, clock=SystemClock()) as site:
        token = hand_out_link(site, person_id, actor=cli_actor())
    base = server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"
    link = f"{base}/my/{token}"
    if json_out:
        print_json({"person_id": person_id, "link": link})
        return
    typer.echo(link)


@app.command("withdraw")
def withdraw_command(
    person_id: PersonId, receipt: ReceiptFile = None, data: DataDir = None, json_out: JsonOut = False
) -> None:
    """Erase one person for good, and prove it: key, templates, photos, name and consent."""
    _require_new(receipt)
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        report = withdraw(site, person_id, reason="asked", actor=cli_actor())
        content = issue_erasure_receipt(site, report, actor=cli_actor())
    _write_receipt(receipt, content)
    if json_out:
        print_json(asdict(report) | {"receipt": json.loads(content)})
        return
    typer.echo(
        f"Erased person {report.person_id}: {report.templates} template(s), {report.photos} photo(s), "
        f"their name, consent and key; {report.sightings} sighting(s) no longer name them."
    )
    typer.echo(
        f"Looked for {report.needles} traces in {report.files_scanned} files "
        f"({report.bytes_scanned} bytes): none found. Ledger entry {report.ledger_seq}."
    )
    if report.name_also_in:
        typer.echo(f"The same name stands elsewhere, in {', '.join(report.name_also_in)}: not looked for.")


@app.command("export")
def export_command(
    person_id: PersonId,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder for person.json and the photos.")
    ] = None,
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Give someone everything held about them. Without --out: the document only, no photos."""
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already", "Give a folder that does not exist yet")
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        export = export_person(site, person_id, actor=cli_actor())
    if out is not None:
        _write_export(export, out)
    if out is None or json_out:
        print_json(export.document)
    else:
        typer.echo(f"Wrote person.json and {len(export.photos)} photo(s) to {out}.")


def _write_export(export: PersonExport, out: Path) -> None:
    """Make the folder under another name first, so that it is complete once it is there."""
    unfinished = out.with_name(out.name + ".part")
    with mapped_errors(out):
        unfinished.mkdir(mode=0o700, parents=True)
        try:
            document = json.dumps(export.document, indent=2, ensure_ascii=False)
            write_new_file(unfinished / "person.json", document.encode())
            for file_name, original in export.photos:
                write_new_file(unfinished / file_name, original)
            unfinished.rename(out)
        except OSError:
            shutil.rmtree(unfinished)
            raise


def _decoded(photos: list[Path], settings: Settings) -> list[Photo]:
    from consentry.media import read_photo

    return [
        Photo(str(path), original=path.read_bytes(), bgr=bgr)
        for path in photos
        for bgr in [read_photo(path, max_pixels=settings.media.max_pixels)]
    ]


def _require_new(receipt: Path | None) -> None:
    """Before anything is done: a receipt must not overwrite a file."""
    if receipt is not None and receipt.exists():
        raise UsageError(f"{receipt} is there already", "Give a file that does not exist yet")


def _write_receipt(receipt: Path | None, content: bytes) -> None:
    if receipt is not None:
        with mapped_errors(receipt):
            write_new_file(receipt, content + b"\n")


def _summary(person: Person, retention: Retention) -> dict[str, object]:
    in_force = [consent for consent in person.consents if consent.why_ended() is None]
    held_until = held_until_unix_s(in_force)
    return {
        "id": person.id,
        "name": person.name,
        "enrolled": iso_utc(person.enrolled_unix_ms / 1000),
        "last_seen": iso_utc(person.last_seen_unix_ms / 1000),
        "purposes": [consent.purpose for consent in in_force],
        "valid_until": iso_utc(held_until) if in_force else None,
        "expires": iso_utc(person.expires_unix_s(retention)) if in_force else None,
        "live": person.why_not_live is None,
        "why_not_live": person.why_not_live,
        "photos_refused": person.refusal,
        "photos": person.photos,
        "templates": person.templates,
    }


def _state(person: Person, retention: Retention) -> str:
    if person.why_not_live is not None:
        return f"not recognised: the consent {person.why_not_live}"
    summary = _summary(person, retention)
    until = f"until {summary['valid_until']}"
    if summary["expires"] != summary["valid_until"]:
        until += f", but erased on {summary['expires']} if not seen by then"
    if person.refusal is not None:
        return f"not recognised, kept {until}: {person.refusal}"
    purposes = dict.fromkeys(one.purpose for one in person.consents if one.why_ended() is None)
    return f"consent to {', '.join(purposes)} {until}"
