"""The C library's allocator, told once what kind of program this is.

A TLS connection under uvloop owns a buffer of 256 KiB of which it touches a page or two. glibc first gives such blocks
pages of their own (mmap), but learns from the first one that is freed to carve them out of the heap, and there, between
small blocks, an idle TLS session cost 49 KiB instead of 24 (measured, 1,000 sessions). So the limits are fixed, which
also ends the learning.

Called by `app.serving` before the workers are forked. Where the C library is not glibc nothing is done.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

#: <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
#: A TLS buffer is just above it with the allocator's header; pieces of content (64 KiB) are well below.
_OWN_PAGES_OCTETS: Final = 256 * 1024
#: How much free memory the top of the heap keeps: a busy moment must not end in a system call a letter.
_KEPT_OCTETS: Final = 8 * 1024 * 1024


def fix_limits() -> None:
    """For this process and those it forks."""
    with contextlib.suppress(OSError, AttributeError):  # no such function here
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_OCTETS)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_OCTETS)
