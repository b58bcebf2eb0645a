"""Parameters as mail programs read them, also where the RFCs have another opinion."""

from __future__ import annotations

import pytest

from ekiden.message.parameters import MAX_PARAMETERS, read_parameters


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"attachment; filename=a.exe", ["a.exe"]),
        (b'Attachment ; FileName = "a b;c.exe"', ["a b;c.exe"]),
        (b'attachment; filename="a \\"b\\" \\\\.exe"', ['a "b" \\.exe']),
        (b"attachment; filename*=utf-8''caf%C3%A9.exe", ["café.exe"]),
        (b"attachment; filename*=iso-8859-1'fr'caf%E9.exe", ["café.exe"]),
        (b"attachment; filename*1=lo.exe; filename*0=hel", ["hello.exe"]),
        (b"attachment; filename*0*=utf-8''caf%C3; filename*1*=%A9.e; filename*2=xe", ["café.exe"]),
        (b'attachment; filename="=?utf-8?B?Y2Fmw6k=?=.exe"', ["café.exe"]),
        (b'attachment; filename="a.exe', ["a.exe"]),
        (b'attachment; filename="a.txt".exe', ["a.txt", "a.txt.exe"]),
        (b"attachment; filename=a.txt; filename=b.exe", ["a.txt", "b.exe"]),
        (b"attachment; filename*=a%2Eexe", ["a.exe"]),
        (b"attachment; filename*=utf-8''100%.exe", ["100%.exe"]),
        (b"attachment; filename*x=1; filename", []),
        (b"", []),
    ],
)
def test_names(value: bytes, names: list[str]) -> None:
    assert read_parameters(value).all("filename") == names


def test_the_value_is_in_lower_case_and_octets_stay() -> None:
    described = read_parameters(b'Multipart/MIXED; boundary="=?utf-8?q?x?="; boundary=\xff')
    assert described.value == "multipart/mixed"
    assert described.octets("boundary") == [b"=?utf-8?q?x?=", b"\xff"]


def test_there_is_an_end_to_parameters() -> None:
    assert read_parameters(b"a/b" + b";x=1" * MAX_PARAMETERS).whole
    assert not read_parameters(b"a/b" + b";x=1" * (MAX_PARAMETERS + 1)).whole


@pytest.mark.parametrize("value", [b'a;b="' + b'\\"' * 100_000, b'a;x="' * 50_000, b'a;x="";' * 30_000])
def test_no_value_takes_long(value: bytes) -> None:
    assert read_parameters(value).value == "a"
