"""What an attachment is called: the form in which names are compared, and names that deceive. Grade A.

Rules
1. Compared is what the system of the reader would open: without marks that are not seen, without the dots and blanks
   at the end that Windows drops, in one form of Unicode (NFKC), without folders, without the difference of case.
2. A name deceives if it runs and looks as if it did not: a right-to-left mark or the like in it, a document's ending
   in front of the one that counts, or blanks that push the ending out of sight.

Called by `message.attachment`.
"""

from __future__ import annotations

import unicodedata
from typing import Final

#: What a person's computer runs, installs or mounts when it is opened.
PROGRAM_ENDINGS: Final = frozenset(
    """exe com scr pif bat cmd cpl msi msp mst msc msix msixbundle appx appinstaller application gadget jar jnlp js jse
    vb vbs vbe ws wsf wsh wsc sct hta ps1 ps1xml ps2 psc1 psd1 psm1 reg inf lnk url scf chm hlp dll ocx sys xll
    wll iqy slk settingcontent-ms library-ms search-ms diagcab theme themepack app command action workflow pkg
    dmg iso img vhd vhdx udf run desktop""".split()  # noqa: SIM905 - a table of words
)
#: What looks harmless in front of them.
_DOCUMENT_ENDINGS: Final = frozenset(
    """pdf doc docx odt rtf txt xls xlsx ods csv ppt pptx odp jpg jpeg png gif bmp tif tiff webp svg html htm mp3 mp4
    avi mov wav zip rar 7z eml msg""".split()  # noqa: SIM905 - a table of words
)
#: Right-to-left and left-to-right marks, embeddings, overrides and isolates (Unicode Bidirectional Algorithm).
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: Longer than any file system takes.
LONGEST_NAME: Final = 1024
_MANY_BLANKS: Final = " " * 10


def comparable(name: str) -> str:
    """Rule 1; at most LONGEST_NAME characters: the last ones, for there the ending stands."""
    name = name[-LONGEST_NAME:]
    if not name.isascii() or not name.isprintable():
        name = unicodedata.normalize("NFKC", name)
        name = "".join(c for c in name if unicodedata.category(c) not in ("Cf", "Cc"))
    name = name.replace("\\", "/").rstrip(". /")
    return name[name.rfind("/") + 1 :].casefold()


def runs(compared: str) -> bool:
    """`compared`: see `comparable`."""
    return _ending(compared) in PROGRAM_ENDINGS


def deceives(name: str, compared: str) -> bool:
    """Rule 2. `name`: as the letter has it."""
    if not _BIDI.isdisjoint(name):
        return True
    if not runs(compared):
        return False
    return _MANY_BLANKS in name or _ending(compared.rpartition(".")[0].rstrip(" ._")) in _DOCUMENT_ENDINGS


def _ending(compared: str) -> str:
    return compared.rpartition(".")[2].strip() if "." in compared else ""
