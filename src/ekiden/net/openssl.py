"""What OpenSSL can do and Python's `ssl` has no call for: the key exchange groups, and a session cache that is off.

    context, narrowed = make_narrowed(lambda: DoorContext(ssl.PROTOCOL_TLS_SERVER))

Rules
1. Only OpenSSL's public functions, and only a pointer that OpenSSL itself hands out: a callback for new SSL_CTX
   structures is registered, the context is made, the callback is withdrawn. Nothing is read out of Python's objects.
2. Where that does not work (a Python with OpenSSL built in and its names hidden), the context has OpenSSL's defaults
   and `narrowed` is false: as safe, but with groups that Mozilla's profile leaves out, and with TLS 1.2 sessions that
   can be resumed by id for two hours.

Why: a resumed session of TLS 1.2 has no fresh key exchange, and each kept one takes memory, 20,480 of them a context
(RFC 9325 §3.3). Called by `net.tls`.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

#: The first list that this OpenSSL knows: with the post-quantum hybrid from 3.5 on (draft-ietf-tls-ecdhe-mlkem).
_GROUPS: Final = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")
#: openssl/ssl.h and openssl/crypto.h; fixed since OpenSSL 1.1.0.
_EX_INDEX_SSL_CTX: Final = 1
_CTRL_SET_SESS_CACHE_MODE: Final = 44
_CTRL_SET_GROUPS_LIST: Final = 92
_SESS_CACHE_OFF: Final = 0

_Context = TypeVar("_Context", bound=ssl.SSLContext)
_NewContext = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p
)


def make_narrowed(make: Callable[[], _Context]) -> tuple[_Context, bool]:
    """What `make` makes, and whether it was narrowed to our groups and to no session cache."""
    library = _library()
    if library is None:
        return make(), False
    made: list[int] = []
    here = threading.get_ident()

    def seen(parent: int | None, *_: object) -> None:
        if parent and threading.get_ident() == here:
            made.append(parent)

    callback = _NewContext(seen)
    index = library.CRYPTO_get_ex_new_index(_EX_INDEX_SSL_CTX, 0, None, callback, None, None)
    try:
        context = make()
    finally:
        if index >= 0:
            library.CRYPTO_free_ex_index(_EX_INDEX_SSL_CTX, index)
    if len(made) != 1:
        return context, False
    library.SSL_CTX_ctrl(made[0], _CTRL_SET_SESS_CACHE_MODE, _SESS_CACHE_OFF, None)
    return context, any(library.SSL_CTX_ctrl(made[0], _CTRL_SET_GROUPS_LIST, 0, groups) == 1 for groups in _GROUPS)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The OpenSSL that Python's `ssl` uses, and no other."""
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        library.CRYPTO_get_ex_new_index.argtypes = (
            ctypes.c_int,
            ctypes.c_long,
            ctypes.c_void_p,
            _NewContext,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        library.CRYPTO_get_ex_new_index.restype = ctypes.c_int
        library.CRYPTO_free_ex_index.argtypes = (ctypes.c_int, ctypes.c_int)
        library.CRYPTO_free_ex_index.restype = ctypes.c_int
        library.SSL_CTX_ctrl.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
        library.SSL_CTX_ctrl.restype = ctypes.c_long
    except (OSError, AttributeError):
        return None
    return library
