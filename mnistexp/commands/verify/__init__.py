"""Repeating a stored run and comparing the results."""
