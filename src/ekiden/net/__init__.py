"""Sockets, TLS, DNS: doors, wires, connector, resolver. Grade C. Empty, so that importing one costs one."""
