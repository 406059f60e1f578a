"""Moved to `tuipacs.dimse.sending`: being called sends datasets, too (C-GET)."""

from tuipacs.dimse.sending import BLOCK, DatasetSource, Readable

__all__ = ["BLOCK", "DatasetSource", "Readable"]
