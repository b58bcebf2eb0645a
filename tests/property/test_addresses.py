"""Address lists from any octets: addresses or a fault; and where we take something, the standard library's two parsers
read no other address in it."""

from __future__ import annotations

from email.headerregistry import AddressHeader
from email.utils import getaddresses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ekiden.message.addresses import AddressFault, parse_addresses
from ekiden.model.mailbox import unquote_local_part

PIECES = st.sampled_from(
    [
        *("alice", "bob", "victim", "@", "@", "x.test", "y.test", "<", ">", ",", ":", ";", " ", "(", ")", '"', "\\"),
        *("alice@x.test", "<bob@y.test>", "Alice A.", '"B, b"', "[", "]", "=?utf-8?q?a=40b?=", ".", "é", "\t", "\r"),
    ]
)
LISTS = st.lists(PIECES, max_size=9).map("".join)


def plain(address: str) -> str:
    """Without quotes: the parsers differ in how they write a quoted local part."""
    local_part, _, domain = address.rpartition("@")
    return f"{unquote_local_part(local_part)}@{domain}"


def read(octets: bytes) -> list[str]:
    try:
        return [plain(str(mailbox)) for mailbox in parse_addresses(octets)]
    except AddressFault:
        return []


def with_headerregistry(text: str) -> list[str]:
    parts: dict[str, Any] = {"defects": []}
    try:
        AddressHeader.parse(text, parts)
    except Exception:  # its parser has bugs of its own: nothing was read
        return []
    return [plain(a.addr_spec) for group in parts["groups"] for a in group.addresses if "@" in a.addr_spec]


def with_utils(text: str) -> list[str]:
    return [plain(address) for _, address in getaddresses([text]) if "@" in address]


@given(st.binary(max_size=300))
def test_any_octets_give_addresses_or_a_fault(octets: bytes) -> None:
    assert all("@" in address for address in read(octets))


@given(LISTS)
def test_others_read_no_other_address(text: str) -> None:
    if ours := read(text.encode()):
        assert with_headerregistry(text) in (ours, [])
        assert with_utils(text) in (ours, [])
