"""The best model: chosen from sweeps, trained on all training digits, and what its test accuracy means."""
