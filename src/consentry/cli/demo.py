"""`consentry demo`: everything in one command, with a built-in camera and two public-domain portraits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consentry.config import default_data_dir

HOST = "127.0.0.1"


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8080,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the demo.", show_default="~/.local/share/consentry-demo"),
    ] = None,
) -> None:
    """Open the demo: a built-in camera, one person enrolled, another one not."""
    from consentry.cli.demo_setup import prepare, pull_models
    from consentry.cli.serving import serve_site
    from consentry.clock import SystemClock
    from consentry.config import load_settings
    from consentry.people.site import Site
    from consentry.pipeline.worker import configure_logging
    from consentry.server.pages import OneTimeLink
    from consentry.server.run import address_of, listening, only_hub
    from consentry.server.users import OWNER

    folder, clock = (data or default_data_dir().with_name("consentry-demo")).expanduser(), SystemClock()
    settings = load_settings(folder)
    configure_logging()
    with listening(HOST, port) as listener:
        pull_models()
        with Site.open(folder, clock=clock, create=True) as site, only_hub(folder):
            prepare(site, settings)
            link = OneTimeLink()

            def greet(password: str | None) -> None:
                address = address_of(listener)
                typer.echo(f"Consentry demo: {address}")
                typer.echo(f"  Open it signed in, once:  {address}/demo-login?token={link.token}")
                if password:
                    typer.echo(f"  Or sign in as {OWNER} with the password {password} (shown only now)")
                typer.echo("  Stop it with Ctrl-C.")

            serve_site(site, settings, clock, listener, greet=greet, demo_link=link)
