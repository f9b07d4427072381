"""`consentry serve`: the hub with its API and page, and the worker that watches the cameras."""

from __future__ import annotations

from typing import Annotated

import typer

from consentry.cli.options import DataDir, data_dir


def serve(
    data: DataDir = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="server.host, 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes any free one.", show_default="server.port, 8080"),
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Give the owner a new password and end all sessions.")
    ] = False,
) -> None:
    """Watch all cameras and serve page and API until Ctrl-C."""
    from consentry.cli.serving import serve_site
    from consentry.clock import SystemClock
    from consentry.config import load_settings
    from consentry.people.declaration import reason_not_in_force
    from consentry.people.site import Site
    from consentry.pipeline.worker import configure_logging
    from consentry.server.run import address_of, is_loopback, listening, only_hub
    from consentry.server.users import OWNER

    folder, clock = data_dir(data), SystemClock()
    settings = load_settings(folder)
    host = host or settings.server.host
    configure_logging()
    with (
        listening(host, settings.server.port if port is None else port) as listener,
        Site.open(folder, clock=clock, create=True) as site,
        only_hub(folder),
    ):

        def greet(password: str | None) -> None:
            typer.echo(f"Consentry: {address_of(listener)}")
            if password:
                typer.echo(f"  Sign in as {OWNER} with the password {password} (shown only now)")
            if why_not := reason_not_in_force(site):
                typer.echo(
                    f"  Only 1:1 verification works: {why_not}. Declare at {address_of(listener)}/setup"
                )
            if not is_loopback(host):
                typer.echo(
                    f"  {host} can be reached from other machines, without encryption: put TLS before it",
                    err=True,
                )

        serve_site(site, settings, clock, listener, greet=greet, new_password=new_password)
