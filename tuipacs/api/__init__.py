"""The control API: HTTP on a Unix socket, over the same guarded services as everything else."""
