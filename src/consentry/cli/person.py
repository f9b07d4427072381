"""`consentry person`: enrol, list, show, link, withdraw, export."""

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
from consentry.config import load_settings
from consentry.errors import UsageError
from consentry.people.consent import demo_consent, read_consent
from consentry.people.enrol import Photo, enrol, require_enrolment_consent
from consentry.people.erase import withdraw
from consentry.people.links import hand_out_link
from consentry.people.roster import Person, PersonExport, export_person, list_people, show_person
from consentry.people.site import Site
from consentry.store.failures import mapped_errors
from consentry.store.files import write_new_file

app = typer.Typer(help="People who enrolled: with consent, under seal, erased when they withdraw.")

PersonId = Annotated[str, typer.Argument(metavar="ID", help="As `person list` shows it.")]


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
    data: DataDir = None,
    json_out: JsonOut = False,
) -> None:
    """Enrol one person from photos, with their consent. All of it or nothing is kept."""
    from consentry.cli.engines import photo_analyser
    from consentry.media import read_photo

    if (consent is None) != consent_demo:
        raise UsageError(
            "enrolment needs a consent record, and one only",
            "Give --consent FILE, or --consent-demo in a demo",
        )
    clock = SystemClock()
    record = demo_consent(clock.unix_s()) if consent is None else read_consent(consent)
    folder = data_dir(data)
    settings = load_settings(folder)
    with Site.open(folder, clock=clock, create=True) as site:
        require_enrolment_consent(site, record, name)
        decoded = [
            Photo(str(path), original=path.read_bytes(), bgr=bgr)
            for path in photos
            for bgr in [read_photo(path, max_pixels=settings.media.max_pixels)]
        ]
        result = enrol(
            site, photo_analyser(settings), name=name, photos=decoded, consent=record, actor=cli_actor()
        )
    if json_out:
        print_json(asdict(result))
        return
    typer.echo(f"Enrolled {name} as person {result.person_id} from {len(result.photos)} photo(s).")


@app.command("list")
def list_command(data: DataDir = None, json_out: JsonOut = False) -> None:
    """List everyone enrolled."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        people = list_people(site)
    if json_out:
        print_json([_summary(person) for person in people])
        return
    if not people:
        typer.echo("Nobody is enrolled.")
    for person in people:
        typer.echo(f"{person.id}  {person.name}  {_state(person)}")


@app.command("show")
def show_command(person_id: PersonId, data: DataDir = None, json_out: JsonOut = False) -> None:
    """Show one person and what they consented to; the ledger notes that you looked."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        person = show_person(site, person_id, actor=cli_actor())
    consents = [consent.model_dump(mode="json") for consent in person.consents]
    if json_out:
        print_json(_summary(person) | {"consents": consents})
        return
    typer.echo(f"{person.name}  {person.id}\n{_state(person)}")
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
def withdraw_command(person_id: PersonId, data: DataDir = None, json_out: JsonOut = False) -> None:
    """Erase one person for good, and prove it: key, templates, photos, name and consent."""
    with Site.open(data_dir(data), clock=SystemClock()) as site:
        report = withdraw(site, person_id, reason="asked", actor=cli_actor())
    if json_out:
        print_json(asdict(report))
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


def _summary(person: Person) -> dict[str, object]:
    return {
        "id": person.id,
        "name": person.name,
        "enrolled": iso_utc(person.enrolled_unix_ms / 1000),
        "purposes": [consent.purpose for consent in person.consents],
        "valid_until": max(iso_utc(consent.valid_until.timestamp()) for consent in person.consents),
        "live": person.why_not_live is None,
        "why_not_live": person.why_not_live,
        "photos": person.photos,
        "templates": person.templates,
    }


def _state(person: Person) -> str:
    summary = _summary(person)
    purposes = ", ".join(consent.purpose for consent in person.consents)
    if person.why_not_live is not None:
        return f"not recognised: the consent {person.why_not_live}"
    return f"consent to {purposes} until {summary['valid_until']}"
