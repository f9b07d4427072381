"""What the tests of the server share: a whole application on a real port, without cameras unless given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount
from tests.unit.people.kit import START_UNIX_S, FakeAnalyser, opened

from consentry.clock import SimulatedClock
from consentry.config import Settings
from consentry.notify.webhook import Webhooks
from consentry.people.agreed import effective_settings
from consentry.people.site import Site
from consentry.server.access import Role
from consentry.server.accounts import add_user
from consentry.server.app import API_PATH, create_app
from consentry.server.guard import COOKIE
from consentry.server.hub import Hub
from consentry.server.pages import OneTimeLink
from consentry.server.run import address_of, listening, web_config
from consentry.server.services import Services
from consentry.server.users import User
from consentry.vision.runtime import Runtime
from consentry.vision.sample import PhotoAnalyser

OWN = {"X-Consentry": "1"}


def png(person: int, pose: int = 0, faces: int = 1, size: int = 4) -> bytes:
    """A picture that the stand-in analyser of the kit takes for a photo of `person`."""
    bgr = np.zeros((size, size, 3), np.uint8)
    bgr[0, 0] = person, pose, faces
    return bytes(cv2.imencode(".png", bgr)[1])


@dataclass(frozen=True)
class Running:
    """An application that answers at `address`."""

    address: str
    app: FastAPI
    services: Services
    clock: SimulatedClock
    password: str
    link: OneTimeLink

    @property
    def api(self) -> FastAPI:
        """The part under /api/v1."""
        mount = next(
            route for route in self.app.routes if isinstance(route, Mount) and route.path == API_PATH
        )
        assert isinstance(mount.app, FastAPI)
        return mount.app

    @property
    def site(self) -> Site:
        return self.services.site

    @property
    def owner_actor(self) -> str:
        """What the ledger calls the owner."""
        owner = self.services.users.of("owner")
        assert owner is not None
        return owner.actor

    def client(self) -> httpx.Client:
        """Somebody who has not signed in, with the header that shows that no other site sent them."""
        return httpx.Client(base_url=self.address, headers=OWN, timeout=20.0)

    def session(self, user: User | None = None) -> str:
        """The token of a new session of `user`, by default the owner, beside the (slow) password check."""
        user = user or self.services.users.of("owner")
        assert user is not None
        return self.services.sessions.open(user)

    @contextmanager
    def signed_in(self, user: User | None = None) -> Iterator[httpx.Client]:
        """`user`, by default the owner, with a session."""
        with self.client() as client:
            client.cookies.set(COOKIE, self.session(user), domain="127.0.0.1")
            yield client

    @contextmanager
    def owner(self) -> Iterator[httpx.Client]:
        """The owner, with a session."""
        with self.signed_in() as client:
            yield client

    def user(self, role: Role, name: str = "") -> User:
        """A user with that role, made if there is none of that name, which is the role's by default."""
        found = self.services.users.of(name or role)
        return found or add_user(self.site, name or role, role, actor="test")[0]

    @contextmanager
    def as_role(self, role: Role) -> Iterator[httpx.Client]:
        """Somebody with that role, with a session."""
        with self.signed_in(self.user(role)) as client:
            yield client

    def sign_in(self, client: httpx.Client, password: str | None = None) -> httpx.Response:
        """The owner types a password, the right one by default."""
        typed = self.password if password is None else password
        return client.post("/api/v1/session", json={"name": "owner", "password": typed})

    def events(self) -> list[tuple[str, str]]:
        """Event and actor of every ledger entry."""
        with self.site.read() as session:
            rows = session.connection().exec_driver_sql("SELECT event, actor FROM ledger_entry ORDER BY seq")
            return [(str(event), str(actor)) for event, actor in rows]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """`app` on a free port, answered by uvicorn in a thread."""
    with listening("127.0.0.1", 0) as listener:
        server = uvicorn.Server(web_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        address = address_of(listener)
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def running(
    folder: Path,
    *,
    declared: bool = False,
    analyser: PhotoAnalyser | None = None,
    settings: Settings | None = None,
    prepare: Callable[[FastAPI, Services], None] | None = None,
    start_unix_s: float = START_UNIX_S,
) -> Iterator[Running]:
    """A hub without cameras on an installation in `folder`; `prepare` completes its application."""
    clock, wanted = SimulatedClock(start_unix_s), settings or Settings()
    with opened(folder, clock=clock, declared=declared) as site, Webhooks(clock) as webhooks:
        used, refused = effective_settings(site, wanted)
        hub = Hub(
            site,
            used,
            clock,
            runtime=Runtime("onnxruntime", "f32", 1),
            models_folder=folder / "models",
            builtin_video=folder / "none.mp4",
        )
        services = Services.of(
            hub, site, used, refused, webhooks=webhooks, analyser=lambda: analyser or FakeAnalyser()
        )
        password = services.users.ensure_owner()
        assert password is not None
        link = OneTimeLink()
        app = create_app(services, demo_link=link)
        if prepare:
            prepare(app, services)
        hub.start()
        try:
            with served(app) as address:
                yield Running(address, app, services, clock, password, link)
        finally:
            hub.stop()
