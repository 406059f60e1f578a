"""How tuipacs names itself to other programs (PS3.7 D.3.3.2, PS3.10 7.1)."""

from __future__ import annotations

IMPLEMENTATION_CLASS_UID = "2.25.337096890036064337076330012616880390692"
IMPLEMENTATION_VERSION_NAME = "TUIPACS_0_1"  # at most 16 characters
