"""Watching the runs of a folder, in a terminal and in a browser."""
