"""Where fits run: in this process, in workers on this machine, or on a Dask cluster."""
