"""What a site is called: next hops that lead to the same set of hosts have the same name, in all workers and for as
long as the set is the same. Pure.

It names the budget of the site (`ports.slots`), and people read it in events. Called by routing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from ekiden.config.model import Route

#: Longer names are cut, and told apart by a hash of the whole.
LONGEST: Final = 120
#: Keys of a route that say which letters it is for.
WHOM: Final = frozenset({"name", "match", "sender", "account", "after_attempts"})


def site_name(hosts: Iterable[str]) -> str:
    """`hosts`: names of MX hosts, in any order."""
    return _shorten(sorted(set(hosts)))


def route_site_name(route: Route) -> str:
    """The targets, and whatever else tells one connection from another: a login, TLS, a source. Which letters a route
    is for does not."""
    usual = Route(match="", to=())
    fields = [name for name in Route.__struct_fields__ if name not in WHOM and name != "to"]
    differs = [f"{name}={getattr(route, name)}" for name in fields if getattr(route, name) != getattr(usual, name)]
    return _shorten([*sorted(set(route.to)), *differs])


def _shorten(names: list[str]) -> str:
    name = " ".join(names)
    if len(name) <= LONGEST:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{names[0][:LONGEST]} and {len(names) - 1} more ({digest})"
