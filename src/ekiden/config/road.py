"""The tables of the configuration about the way out: routes, sites, sources, DNS and delivery. Part of `config.model`,
which offers them."""

from __future__ import annotations

from typing import Annotated

from ekiden.config.values import Address, Duration, OptionalDuration, Path, Section, Size, doc


class Route(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    match: Annotated[
        str,
        doc(
            'Recipient domain: "*", "example.org" or "*.example.org". The first match wins; none: the MX of the domain.'
        ),
    ]
    sender: Annotated[
        tuple[str, ...],
        doc(
            'Only for letters from these: "example.org", "*.example.org", "you@example.org" or "<>" (reports). '
            "None: from everybody."
        ),
    ] = ()
    account: Annotated[
        tuple[str, ...], doc('Only for letters that these accounts handed in after a login; "*": any account.')
    ] = ()
    after_attempts: Annotated[
        int,
        doc(
            "Only for letters that so many attempts did not bring away: a smarthost of last resort. It stands above "
            "the route that is tried before."
        ),
    ] = 0
    name: Annotated[
        str, doc("What the queue calls it, as in route:NAME. Default: its match, with the other conditions if any.")
    ] = ""
    to: Annotated[
        tuple[str, ...],
        doc("smtp://HOST:PORT, smtps://HOST:PORT, lmtp://HOST:PORT or lmtp+unix:///PATH; several are tried in order."),
    ]
    username: Annotated[str, doc("Login at that server.")] = ""
    password_file: Annotated[
        Path, doc("File with the password; the service user must be able to read it, others must not.")
    ] = ""
    password_env: Annotated[str, doc("Or the name of an environment variable that holds it.")] = ""
    tls: Annotated[
        str,
        doc('"none", "opportunistic", "require" or "verify"; default: "verify" with a username, else "opportunistic".'),
    ] = ""
    allow_unverified_login: Annotated[
        bool,
        doc(
            "Send the password to a server that has not proven its name. Only for a server on this machine or in a lab."
        ),
    ] = False
    source: Annotated[
        tuple[str, ...],
        doc("Addresses of ours that connections go out from, one a family. None: as in [[site]] or [delivery]."),
    ] = ()


class Site(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    match: Annotated[
        str,
        doc(
            'Recipient domain, MX host, or match or name of a route: "*", "example.org" or "*.example.org". The first '
            "match wins; domains with the same MX hosts are one site, and share what it allows."
        ),
    ]
    connections: Annotated[
        int, doc("Connections at once, all workers together. 0: [delivery] connections_per_site.")
    ] = 0
    letters_per_connection: Annotated[int, doc("Letters of one connection, then a new one is opened.")] = 1000
    recipients_per_transaction: Annotated[
        int, doc("Recipients of one transaction; more go in further ones. RFC 5321 §4.5.3.1.8: 100 must be taken.")
    ] = 100
    connections_per_minute: Annotated[
        int, doc("Connections opened within any 60 seconds, all workers together. 0: no limit.")
    ] = 0
    letters_per_minute: Annotated[
        int, doc("Letters begun within any 60 seconds, all workers together. 0: no limit.")
    ] = 0
    retry_first: Annotated[
        OptionalDuration, doc("Pause before the second attempt. 0: as in [delivery]; so the next two.")
    ] = 0.0
    retry_factor: Annotated[float, doc("By what each pause is multiplied.")] = 0.0
    retry_longest: Annotated[OptionalDuration, doc("The longest pause.")] = 0.0
    family: Annotated[
        str, doc('Addresses of the site that are used: "both" (in turn, IPv6 first), "ipv4" or "ipv6" alone.')
    ] = "both"
    tls: Annotated[
        str,
        doc(
            'How hosts found by MX must be protected: "opportunistic" (what there is), "require" (TLS, any '
            'certificate), "verify" (their name must be proven) or "none". DANE and MTA-STS of the domain count '
            'besides, but with "none".'
        ),
    ] = "opportunistic"
    source: Annotated[
        tuple[str, ...],
        doc("Addresses of ours that connections go out from, one a family. None: as in [delivery]."),
    ] = ()


class Source(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    address: Annotated[str, doc("An address of this machine that letters leave from; `source` keys name it.")]
    helo: Annotated[
        str,
        doc("Our name in EHLO from there: what its reverse DNS gives, and what leads back to it. Default: hostname."),
    ] = ""


class Dns(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    nameservers: Annotated[tuple[Address, ...], doc("Resolvers to ask. None: those of the system.")] = ()
    timeout: Annotated[Duration, doc("How long one question may take, all tries together.")] = 10.0


class Detour(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A smarthost for the time when port 25 is blocked; keys as in [[route]]."""

    to: Annotated[
        tuple[str, ...],
        doc(
            "Your provider's server, smtps://HOST:465 or smtp://HOST:587; several are tried in order. None: letters "
            "wait until port 25 is open again."
        ),
    ] = ()
    username: Annotated[str, doc("Login at that server.")] = ""
    password_file: Annotated[
        Path, doc("File with the password; the service user must be able to read it, others must not.")
    ] = ""
    password_env: Annotated[str, doc("Or the name of an environment variable that holds it.")] = ""
    tls: Annotated[
        str,
        doc('"none", "opportunistic", "require" or "verify"; default: "verify" with a username, else "opportunistic".'),
    ] = ""
    allow_unverified_login: Annotated[
        bool,
        doc("Send the password to a server that has not proven its name. Only for a lab."),
    ] = False
    source: Annotated[
        tuple[str, ...],
        doc("Addresses of ours that connections go out from, one a family. None: as in [delivery]."),
    ] = ()


class Probe(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a suspicion that port 25 is blocked is looked into."""

    hosts: Annotated[
        tuple[str, ...],
        doc(
            "MX hosts of others that always answer, HOST:PORT with the port of `mx_port`; three at least. They are "
            "asked when several sites fail alike, and one of them every few minutes while port 25 is blocked. []: "
            "port 25 is never judged blocked."
        ),
    ] = (
        "gmail-smtp-in.l.google.com:25",
        "outlook-com.olc.protection.outlook.com:25",
        "mta5.am0.yahoodns.net:25",
        "mx01.mail.icloud.com:25",
    )
    control: Annotated[
        tuple[str, ...],
        doc(
            "Hosts and ports that work while only port 25 is blocked: else the network is down, and nothing is judged."
        ),
    ] = ("one.one.one.one:443", "dns.google:443")
    every: Annotated[Duration, doc("How often one host is asked while port 25 is blocked.")] = 180.0


class Delivery(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    connect_timeout: Annotated[Duration, doc("How long one connection attempt may take.")] = 30.0
    expire_after: Annotated[Duration, doc("After this a letter that could not be delivered is reported back.")] = (
        5 * 86400.0
    )
    hold_expire: Annotated[
        Duration,
        doc("After this a letter that a rule held (the brake, a content rule) goes back to its sender with a report."),
    ] = 3 * 86400.0
    delay_report_after: Annotated[Duration, doc("After this the sender is told once that it takes longer.")] = (
        4 * 3600.0
    )
    retry_first: Annotated[Duration, doc("Pause before the second attempt; it grows from there.")] = 300.0
    retry_factor: Annotated[float, doc("By what each pause is multiplied.")] = 1.6
    retry_longest: Annotated[Duration, doc("The longest pause.")] = 4 * 3600.0
    connections_per_site: Annotated[int, doc("Connections at once to one site, all workers together.")] = 20
    window_letters: Annotated[int, doc("Letters that one worker holds in memory for delivery.")] = 2000
    window_octets: Annotated[Size, doc("Octets of content that one worker holds in memory for delivery.")] = (
        64 * 1024 * 1024
    )
    allow_addresses: Annotated[tuple[str, ...], doc("Special-purpose networks that an MX may name (labs).")] = ()
    source: Annotated[
        tuple[str, ...],
        doc('Addresses of ours that connections go out from, one a family: "192.0.2.1". None: the system chooses.'),
    ] = ()
    mta_sts_port: Annotated[
        int, doc("Port of MTA-STS policy hosts. Anything but 443 is for labs and tests, and warns at start.")
    ] = 443
    mx_port: Annotated[int, doc("Port of MX hosts. Anything but 25 is for labs and tests, and warns at start.")] = 25
    detour: Detour = Detour()
    probe: Probe = Probe()
