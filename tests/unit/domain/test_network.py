"""Addresses of nodes."""

from __future__ import annotations

import pytest

from tuipacs.domain.network import caller_address, check_node_address, match_length
from tuipacs.errors import UsageError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8:0::5", "2001:db8::5"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_addresses_and_networks_are_taken(text: str, canonical: str) -> None:
    assert check_node_address(text) == canonical


@pytest.mark.parametrize(
    "text", ["ct.example.org", "192.0.2.1/24", "192.0.2", "1.2.3.4.5", "*", "192.0.2.256", "/8"]
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        check_node_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_a_callers_address_is_written_as_nodes_are(text: str, address: str) -> None:
    assert caller_address(text) == address


@pytest.mark.parametrize(
    ("rule", "caller", "length"),
    [
        ("", "192.0.2.1", 0),
        ("192.0.2.1", "192.0.2.1", 33),
        ("192.0.2.0/24", "192.0.2.1", 25),
        ("0.0.0.0/0", "192.0.2.1", 1),
        ("192.0.2.2", "192.0.2.1", -1),
        ("192.0.2.0/24", "192.0.3.1", -1),
        ("::/0", "192.0.2.1", -1),
        ("2001:db8::/32", "2001:db8::5", 33),
    ],
)
def test_the_closest_rule_has_the_longest_match(rule: str, caller: str, length: int) -> None:
    assert match_length(rule, caller) == length
