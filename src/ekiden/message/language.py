"""In which language a letter's sender is told what became of it. Grade A. Called by `dsn`.

The letter tells, in this order: Content-Language (RFC 3282), Accept-Language (RFC 3282; Outlook and Thunderbird write
it), a Japanese charset of the body or of the subject, kana in the subject. Else English.
"""

from __future__ import annotations

import re
from typing import Final

from ekiden.message.header import HeaderSection
from ekiden.message.wording import Wording
from ekiden.message.words_english import ENGLISH
from ekiden.message.words_japanese import JAPANESE

WORDINGS: Final = {wording.language: wording for wording in (ENGLISH, JAPANESE)}
_CHARSETS: Final = re.compile(rb"(?i)(iso-2022-jp|shift_jis|euc-jp|cp932|windows-31j)")
_KANA: Final = re.compile("[ぁ-ゖァ-ヺ]")
#: Octets of a field that are looked at.
_LOOKED_AT: Final = 1000


def wording_for(section: HeaderSection, subject: str) -> Wording:
    """`subject`: decoded."""
    for name in (b"content-language", b"accept-language"):
        for tag in (section.first(name) or b"")[:_LOOKED_AT].decode("latin-1").split(","):
            language = tag.partition(";")[0].strip().partition("-")[0].lower()
            if language in WORDINGS:
                return WORDINGS[language]
    charsets = (section.first(b"content-type") or b"")[:_LOOKED_AT] + (section.first(b"subject") or b"")[:_LOOKED_AT]
    return JAPANESE if _CHARSETS.search(charsets) or _KANA.search(subject) else ENGLISH
