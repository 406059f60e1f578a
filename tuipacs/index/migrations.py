"""Numbered, forward-only schema changes. ``PRAGMA user_version`` says where a file stands."""

from __future__ import annotations

from importlib import resources

from tuipacs.errors import UnavailableError
from tuipacs.index.database import Index

MIGRATIONS: tuple[str, ...] = (
    "0001_archive.sql",
    "0002_node_certificates.sql",
    "0003_find.sql",
    "0004_change_feed.sql",
    "0005_study_patient.sql",
    "0006_network.sql",
    "0007_routing.sql",
    "0008_commitment.sql",
    "0009_held_syntaxes.sql",
)


def migrate(index: Index) -> int:
    """Bring the file to the newest schema, each step in one transaction; return its version.

    Raises `UnavailableError` for a file that a newer program has written.
    """
    with index.read() as reader:
        version = int(reader.scalar("PRAGMA user_version"))
    if version > len(MIGRATIONS):
        raise UnavailableError(
            f"this archive has schema {version}, this program knows {len(MIGRATIONS)}",
            remedy="start the newer tuipacs that wrote it",
        )
    folder = resources.files("tuipacs.index") / "schema"
    for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
        script = (folder / name).read_text(encoding="utf-8")
        with index.write() as tx:
            for _ in tx.execute(script):
                pass
            tx.execute(f"PRAGMA user_version = {number}")
    return len(MIGRATIONS)
