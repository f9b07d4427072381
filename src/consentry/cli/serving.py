"""Putting a hub together: site, worker, application and page."""

from __future__ import annotations

import socket
from collections.abc import Callable

from consentry.cli.engines import photo_analyser, remembered_choice
from consentry.clock import Clock
from consentry.config import Settings, models_dir
from consentry.console.mount import mount_console
from consentry.people.site import Site
from consentry.server.app import create_app
from consentry.server.hub import Hub
from consentry.server.pages import OneTimeLink
from consentry.server.run import run
from consentry.server.services import Services, SharedAnalyser, Views
from consentry.server.sessions import Sessions
from consentry.server.users import Users

BUILTIN_VIDEO = "builtin.mp4"


def serve_site(
    site: Site,
    settings: Settings,
    clock: Clock,
    listener: socket.socket,
    *,
    greet: Callable[[str | None], None],
    demo_link: OneTimeLink | None = None,
    new_password: bool = False,
) -> None:
    """Run the hub of an opened site until a signal ends it.

    Args:
        site: The installation.
        settings: Its settings.
        clock: The time.
        listener: Where requests come in.
        greet: Told once requests are answered, with the owner's password if it is new.
        demo_link: Signs in once; demo only.
        new_password: Make a new one and end all sessions.

    Raises:
        ModelMissing, ModelCorrupt: run `consentry models pull`.
    """
    runtime = remembered_choice(settings.vision).runtime  # says first if models are missing
    hub = Hub(
        site,
        settings,
        clock,
        runtime=runtime,
        models_folder=models_dir(),
        builtin_video=site.data_dir / BUILTIN_VIDEO,
    )
    users, sessions = Users(site, clock), Sessions(site.data_dir, clock, settings.sign_in)
    password = users.ensure_owner()
    if new_password and password is None:
        password = users.renew_owner_password()
    services = Services(
        site=site,
        hub=hub,
        users=users,
        sessions=sessions,
        views=Views(site),
        analyser=SharedAnalyser(lambda: photo_analyser(settings)),
        settings=settings,
        clock=clock,
    )
    app = create_app(services, demo_link=demo_link)
    mount_console(app, services)
    run(app, hub, listener, ready=lambda: greet(password))
