"""The commands that look at runs."""

import typer

__all__ = ["runs_app"]

runs_app = typer.Typer(no_args_is_help=True, help="Look at runs, and keep them in order.")
