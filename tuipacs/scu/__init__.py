"""Calling other application entities: one file per service, `requestor` as the seam below them."""
