"""Which transfer syntax a context that is to get objects is given (PS3.8 9.3.3.2: one only)."""

from __future__ import annotations

import pytest

from tuipacs.scu.choosing import offer

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
J2K, JPEG, JPIP = (f"1.2.840.10008.1.2.4.{n}" for n in ("90", "50", "94"))
MPEG2, MPEG4 = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"


@pytest.mark.parametrize(
    ("held", "proposed", "given"),
    [
        ({J2K}, [EXPLICIT, J2K], J2K),
        ({J2K}, [IMPLICIT, EXPLICIT], EXPLICIT),
        ({J2K}, [JPEG, IMPLICIT], IMPLICIT),
        ({J2K}, [JPEG, RLE], JPEG),  # nothing fits: their first
        ({J2K, JPEG}, [J2K, JPEG, EXPLICIT], EXPLICIT),
        ({J2K, JPEG}, [JPEG, J2K], JPEG),
        ({EXPLICIT, IMPLICIT}, [IMPLICIT, EXPLICIT], EXPLICIT),
        ({IMPLICIT}, [EXPLICIT, IMPLICIT], IMPLICIT),
        ({DEFLATED}, [EXPLICIT, DEFLATED], DEFLATED),
        ({BIG}, [EXPLICIT, BIG], BIG),
        ({BIG, J2K}, [EXPLICIT, BIG, IMPLICIT], EXPLICIT),
        ({MPEG4, J2K}, [EXPLICIT, J2K], J2K),
        ({MPEG4, BIG}, [EXPLICIT, BIG], BIG),
        ({EXPLICIT, J2K}, [J2K, IMPLICIT], IMPLICIT),
        ({MPEG4}, [EXPLICIT, MPEG4], MPEG4),
        ({MPEG4, EXPLICIT}, [EXPLICIT, MPEG4], MPEG4),
        ({MPEG4, MPEG2}, [MPEG2, MPEG4], MPEG2),
        ({MPEG4}, [EXPLICIT, MPEG2], EXPLICIT),
        ({JPIP}, [EXPLICIT, JPIP], JPIP),
        (set(), [J2K, IMPLICIT, EXPLICIT], EXPLICIT),
        (set(), [J2K, JPEG], J2K),
        ({J2K}, ["../../x", "1.2.840.10008.1.1"], ""),
        ({J2K}, [], ""),
    ],
)
def test_what_most_of_what_is_held_can_be_sent_in(
    held: set[str], proposed: list[str], given: str
) -> None:
    assert offer(held, proposed) == given
