"""Checks of the machine and the installation, each with a suggested fix."""
