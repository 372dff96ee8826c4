"""What an experiment is, and how files, `--set` and flags become one."""
