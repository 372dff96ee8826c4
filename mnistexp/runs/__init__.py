"""Run folders: written whole, listed, found and read back."""
