"""Whether the machine and the installation are fit for the work, each finding with its remedy."""
