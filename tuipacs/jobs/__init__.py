"""Durable jobs: the runner and one file per kind of job."""
