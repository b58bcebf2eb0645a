"""Ports for servers of tests and of the lab."""

from __future__ import annotations

import socket
from pathlib import Path

from ekiden.lab import server
from ekiden.lab.server import free_ports


def test_no_port_is_given_twice_or_to_outgoing_connections():
    ports = [port for _ in range(20) for port in free_ports(10)]
    assert len(set(ports)) == 200
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert lowest <= 12_000 or max(ports) < lowest


def test_a_port_in_use_is_not_given(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "_PORTS", range(port, port + 2))
        monkeypatch.setattr(server, "_given", set())
        assert not server._is_free(port)
        if server._is_free(port + 1):
            assert free_ports(1) == [port + 1]
