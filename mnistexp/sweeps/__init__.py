"""Hyperparameter sweeps: settings to trials, trials to fits, fits to a ranked table, on any executor."""
