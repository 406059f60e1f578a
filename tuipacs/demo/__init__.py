"""A throw-away archive with studies in it, and a modality that keeps sending."""
