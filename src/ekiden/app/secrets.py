"""The passwords of smarthosts: out of their files or the environment, into memory and nowhere else (invariant 4)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ekiden.app.refusal import StartRefused
from ekiden.config.model import Config, Route
from ekiden.delivery.road import Credentials
from ekiden.policy.detour import detour_route
from ekiden.policy.route_match import route_name


def read_secrets(config: Config, environ: Mapping[str, str] = os.environ) -> dict[str, Credentials]:
    """By the route's name (`policy.route_match`); the detour's too (`policy.detour`). Raises StartRefused."""
    detour = detour_route(config)
    routes = (*config.route, *((detour,) if detour is not None else ()))
    return {
        route_name(route): Credentials(route.username, _password(route, environ)) for route in routes if route.username
    }


def _password(route: Route, environ: Mapping[str, str]) -> str:
    """The first line, without its line end: editors add one, people do not mean it."""
    if route.password_env:
        password = environ.get(route.password_env, "")
        if not password:
            raise StartRefused(f'route "{route_name(route)}": the environment has no variable {route.password_env}')
        return password
    try:
        with open(route.password_file, encoding="utf-8") as file:
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f'route "{route_name(route)}": {route.password_file} cannot be read: {error}') from None
    if not password:
        raise StartRefused(f'route "{route_name(route)}": {route.password_file} is empty')
    return password
