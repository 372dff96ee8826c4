"""The best model: chosen from sweeps, trained on all training digits, and scored on the test digits."""
