"""What ``tuipacs query`` prints of a row."""

from __future__ import annotations

import pytest

from tuipacs.cli.query import held_words
from tuipacs.domain.level import Level
from tuipacs.domain.remote import RemoteRow
from tuipacs.domain.remote_merge import Merger


@pytest.mark.parametrize(
    ("here", "there", "words"),
    [
        (0, 6, ""),
        (4, 6, "4/6"),
        (6, 6, "6"),
        (140, 29, "140 (29 there)"),
        (3, None, "3"),
    ],
)
def test_what_is_here_stands_beside_what_the_node_has(
    here: int, there: int | None, words: str
) -> None:
    """A study with more here than there is no fraction above one."""
    merger = Merger()
    merger.add(
        [RemoteRow(node=7, level=Level.STUDY, study_instance_uid="1.2", instances=there, here=here)]
    )
    (row,) = merger.rows()
    assert held_words(row) == words
