"""The tables of attacks against the list of what has to be tried: nothing on it is left out."""

from __future__ import annotations

from collections import Counter

from tests.e2e import attacks_acse, attacks_dimse, attacks_find, attacks_retrieve, attacks_slow
from tests.e2e.attacks import BEYOND

TABLES = (attacks_acse, attacks_dimse, attacks_find, attacks_retrieve, attacks_slow)
EVERY_ATTACK = [attack for table in TABLES for attack in table.ATTACKS]
LIST = {item for table in TABLES for item in getattr(table, "LIST", ())}


def test_each_item_of_the_list_has_an_attack_and_each_attack_an_item() -> None:
    items = {attack.item for attack in EVERY_ATTACK}
    assert items - {BEYOND} == LIST


def test_no_two_attacks_have_the_same_name() -> None:
    names = Counter(str(attack) for attack in EVERY_ATTACK)
    assert [name for name, count in names.items() if count > 1] == []
