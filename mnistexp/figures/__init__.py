"""Figures: curves, sweeps, digits."""
