"""tuipacs: a medical-image archive with a full-screen terminal face."""

__version__ = "0.1.0"
