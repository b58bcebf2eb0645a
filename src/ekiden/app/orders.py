"""Orders: what the supervisor tells its workers, over a socket pair; and how a worker learns that the supervisor is
gone.

A frame is its length (4 octets) and its octets: one letter for the kind, then the payload. The end of the stream
means that the supervisor is dead, however it died: the kernel closes its end.
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from ekiden.config.model import Config
from ekiden.net.certificates import Pair

_LENGTH: Final = 4


class Order(Enum):
    RELOAD = b"R"  # payload: the new configuration and certificates
    CERTIFICATES = b"C"  # payload: the new certificates
    REOPEN_LOG = b"L"
    WORKER_DIED = b"D"  # its claims can be freed


class Frame(NamedTuple):
    order: Order
    payload: bytes = b""


class Fresh(msgspec.Struct, frozen=True, array_like=True):
    """What a reload brings."""

    config: Config
    pairs: tuple[Pair, ...]


def render_reload(config: Config, pairs: tuple[Pair, ...]) -> bytes:
    return msgspec.msgpack.encode(Fresh(config, pairs))


def parse_reload(payload: bytes) -> Fresh:
    return msgspec.msgpack.decode(payload, type=Fresh)


def render_pairs(pairs: tuple[Pair, ...]) -> bytes:
    return msgspec.msgpack.encode(pairs)


def parse_pairs(payload: bytes) -> tuple[Pair, ...]:
    return msgspec.msgpack.decode(payload, type=tuple[Pair, ...])


def send(connection: socket.socket, frame: Frame) -> None:
    """Raises OSError if the worker is gone, or has not read for so long that the buffer is full."""
    octets = frame.order.value + frame.payload
    connection.sendall(len(octets).to_bytes(_LENGTH, "big") + octets)


class OrderReader:
    """Splits the stream into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
            if len(self._buffer) < end:
                break
            octets, self._buffer = self._buffer[_LENGTH:end], self._buffer[end:]
            frames.append(Frame(Order(octets[:1]), octets[1:]))
        return frames
