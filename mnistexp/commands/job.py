"""What the commands that make a run folder have in common."""

from mnistexp.runs.results import Event


def unwatched(event: Event) -> None:
    """For callers that don't need progress."""
