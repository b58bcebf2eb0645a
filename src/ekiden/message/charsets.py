"""Octets to text by the charset that a letter names. Grade A.

Rules
1. Only charsets of this list: a codec that strangers name would otherwise be looked for on disk, remembered for ever,
   or take quadratic time (punycode, idna).
2. What cannot be decoded is replaced; nothing raises. An unknown charset is read as ISO 8859-1: each octet is
   something.
"""

from __future__ import annotations

from typing import Final

_KNOWN: Final = frozenset(
    """us-ascii ascii utf-8 utf8 utf-16 utf-16le utf-16be utf-7 iso-8859-1 latin-1 latin1 iso-8859-2 iso-8859-3
    iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-8-i iso-8859-9 iso-8859-10 iso-8859-11
    iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 windows-1250 windows-1251 windows-1252 windows-1253
    windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 windows-874 cp437 cp850 cp852 cp866 cp932
    cp936 cp949 cp950 koi8-r koi8-u gb2312 gbk gb18030 big5 big5-hkscs hz-gb-2312 euc-jp euc-kr ks_c_5601-1987
    shift_jis shift-jis iso-2022-jp iso-2022-kr iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 tis-620 macintosh""".split()  # noqa: SIM905 - a table of words
)
_ALIASES: Final = {"iso-8859-8-i": "iso-8859-8", "windows-874": "cp874", "hz-gb-2312": "hz", "macintosh": "mac-roman"}
_WINDOWS: Final = {"gb2312": "gb18030", "ks_c_5601-1987": "cp949"}


def decode(octets: bytes, charset: str) -> str:
    """Never raises."""
    name = charset.lower()
    if name not in _KNOWN:
        return octets.decode("latin-1")
    name = _ALIASES.get(name) or _WINDOWS.get(name) or name.replace("windows-", "cp")
    return octets.decode(name, "replace")


def as_written(octets: bytes) -> str:
    """What stands in a header section without a charset: UTF-8 (RFC 6532 §3.2), else each octet is something."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
