"""Doing a stored run's work again, and saying whether the same comes out."""
