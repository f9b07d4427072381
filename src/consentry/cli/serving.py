"""Putting a hub together: site, worker, application and page."""

from __future__ import annotations

import socket
from collections.abc import Callable

import structlog

from consentry.cli.engines import photo_analyser, remembered_choice
from consentry.clock import Clock
from consentry.config import Settings, models_dir
from consentry.console.mount import mount_console
from consentry.notify.webhook import Webhooks
from consentry.people.agreed import effective_settings
from consentry.people.site import Site
from consentry.server.app import create_app
from consentry.server.hub import Hub
from consentry.server.pages import OneTimeLink
from consentry.server.run import run
from consentry.server.services import Services

BUILTIN_VIDEO = "builtin.mp4"

log = structlog.get_logger("consentry.server")


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
    used, refused = effective_settings(site, settings)
    for one in refused:
        log.warning("setting_refused", setting=one.setting, wanted=one.wanted, used=one.used)
    hub = Hub(
        site,
        used,
        clock,
        runtime=runtime,
        models_folder=models_dir(),
        builtin_video=site.data_dir / BUILTIN_VIDEO,
    )
    with Webhooks(clock) as webhooks:
        services = Services.of(
            hub, site, used, refused, webhooks=webhooks, analyser=lambda: photo_analyser(used)
        )
        password = services.users.ensure_owner()
        if new_password and password is None:
            password = services.users.renew_owner_password()
        app = create_app(services, demo_link=demo_link)
        mount_console(app, services)
        run(app, hub, listener, ready=lambda: greet(password))
