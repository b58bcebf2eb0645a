"""`ekiden config check`: every error of the configuration at once, with its line, and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.options import Failure, config_file, config_option, json_option
from ekiden.cli.output import echo_json, safe, table

if TYPE_CHECKING:
    from ekiden.app.config_check import Finding
    from ekiden.config.model import Config, Site


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command("check")
@config_option
@json_option
def config_check(config_path: str, *, as_json: bool) -> None:
    """Check the configuration, and on this machine what it names: certificate, folders, ports. Changes nothing.

    Exits with 1 if there is an error, or a problem that people will notice.
    """
    path = config_file(config_path)
    from ekiden.app.config_check import Weight, inspect
    from ekiden.app.config_file import ConfigErrors, load_with_lines

    try:
        loaded = load_with_lines(path)
    except ConfigErrors as errors:
        if not as_json:
            raise Failure(str(errors)) from None
        echo_json({"ok": False, "file": path, "findings": [_entry("error", error) for error in errors.errors]})
        click.get_current_context().exit(1)
    findings = inspect(loaded)
    ok = all(finding.weight is Weight.NOTE for finding in findings)
    if as_json:
        entries = [_entry(finding.weight.value, finding.error) for finding in findings]
        echo_json({"ok": ok, "file": path, "findings": entries, **(_summary(loaded.config) if ok else {})})
    else:
        _print_findings(path, findings)
        if ok:
            _print_summary(path, loaded.config)
    click.get_current_context().exit(0 if ok else 1)


def _entry(weight: str, error: Any) -> dict[str, Any]:
    return {"weight": weight, "key": error.key, "line": error.line, "message": error.message}


def _print_findings(path: str, findings: list[Finding]) -> None:
    for finding in findings:
        prefix = "" if finding.weight.value == "error" else f"{finding.weight.value}: "
        click.echo(f"{prefix}{safe(finding.error.render(path))}", err=finding.weight.value != "note")


def _summary(config: Config) -> dict[str, Any]:
    from ekiden.model.door import Door

    return {
        "hostname": config.hostname,
        "doors": {door.value: list(config.listen.addresses(door)) for door in Door if config.listen.addresses(door)},
        "domains": [{"name": domain.name, "recipients": domain.recipients} for domain in config.domain],
        "routes": [{"match": route.match, "to": list(route.to)} for route in config.route],
        "sites": [_said(site) for site in config.site],
    }


def _said(site: Site) -> dict[str, Any]:
    """`match`, and what this site does not leave to others."""
    usual = type(site)(match="")
    return {key: value for key in site.__struct_fields__ if (value := getattr(site, key)) != getattr(usual, key)}


def _print_summary(path: str, config: Config) -> None:
    summary = _summary(config)
    click.echo(f"{safe(path)}: ok, for {config.hostname}")
    rows = [("door", door, ", ".join(where)) for door, where in summary["doors"].items()]
    rows += [("domain", domain["name"], f"recipients: {domain['recipients']}") for domain in summary["domains"]]
    rows += [("route", route["match"], " then ".join(route["to"])) for route in summary["routes"]]
    rows += [] if any(route["match"] == "*" for route in summary["routes"]) else [("route", "all others", "by MX")]
    for site in summary["sites"]:
        rules = ", ".join(
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in site.items()
            if key != "match"
        )
        rows.append(("site", site["match"], rules or "as in [delivery]"))
    click.echo(table(("", "NAME", "WHERE"), rows))
