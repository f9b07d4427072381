"""What the demo needs, made as far as it is not there: models, declaration, person, video, camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from consentry.cli.engines import photo_analyser
from consentry.cli.models import PullBars
from consentry.cli.serving import BUILTIN_VIDEO
from consentry.config import Settings, models_dir
from consentry.errors import NotDeclared
from consentry.media import read_photo
from consentry.models.catalogue import Catalogue
from consentry.models.pull import pull
from consentry.models.store import ModelStore
from consentry.people.cameras import CameraDuty, add_camera, list_cameras
from consentry.people.consent import DEMO, demo_consent
from consentry.people.declaration import declare_demo, require_declared
from consentry.people.enrol import Photo, enrol
from consentry.people.receipts import Terms
from consentry.people.roster import list_people
from consentry.people.site import Site
from consentry.pipeline.builtin import BUILTIN_URL, render_demo

CAMERA = "Demo camera"
ENROLLED = "Eileen Collins"
ENROLLED_PICTURE, OTHER_PICTURE = "eileen-collins", "grace-hopper"
_ACTOR = "cli:demo"


def pull_models() -> None:
    """Bring what the demo needs, with a bar for each thing that is fetched.

    Raises:
        Offline and others of `consentry.models.pull`.
    """
    store = ModelStore(models_dir())
    wanted = Catalogue.load().default_entries()
    if any(store.state(entry) != "verified" for entry in wanted):
        with PullBars() as bars:
            pull(wanted, store, bars)


def prepare(site: Site, settings: Settings) -> None:
    """Declaration, the enrolled person, the video and the camera, as far as they are not there.

    Raises:
        UsageError: the folder belongs to a real installation.
        ModelMissing: the portraits or the models are not there.
        DiskFull: no space for the video.
    """
    try:
        require_declared(site, DEMO)
    except NotDeclared:
        declare_demo(site, actor=_ACTOR)
    if not list_people(site):
        with _bar(f"Enrolling {ENROLLED}") as told:
            _enrol(site, settings)
            told(1.0)
    video = site.data_dir / BUILTIN_VIDEO
    if not video.exists():
        with _bar("Rendering the demo video") as told:
            most = settings.media.max_pixels
            shown, other = (
                read_photo(_picture(name), max_pixels=most) for name in (ENROLLED_PICTURE, OTHER_PICTURE)
            )
            render_demo(video, shown, other, progress=told)
    if CAMERA not in {camera.name for camera in list_cameras(site)}:
        review_due_on = require_declared(site).declaration.review_due_on
        duty = CameraDuty(purpose=DEMO, owner="whoever started the demo", review_due_on=review_due_on)
        add_camera(site, name=CAMERA, url=BUILTIN_URL, duty=duty, actor=_ACTOR)


def _enrol(site: Site, settings: Settings) -> None:
    original = _picture(ENROLLED_PICTURE)
    enrol(
        site,
        photo_analyser(settings),
        name=ENROLLED,
        photos=[Photo(ENROLLED, original, read_photo(original, max_pixels=settings.media.max_pixels))],
        consent=demo_consent(site.clock.unix_s()),
        actor=_ACTOR,
        terms=Terms.of(settings),
    )


def _picture(name: str) -> bytes:
    return ModelStore(models_dir()).path(Catalogue.load().entry(name)).read_bytes()


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error; what it yields takes the share done, in [0, 1]."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=1.0)
        yield lambda share: bars.update(task, completed=share)
