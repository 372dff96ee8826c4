"""What each command does, in sequence: read, compute, store, draw."""
