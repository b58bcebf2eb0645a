"""The one configuration model: frozen, passed in, never imported as state.

Rules
1. A key lives here, or in a part that this module offers (`config.road`), and nowhere else: the example configuration,
   `config check` and the docs are compared with these fields by tests; `doc` is the sentence that people read.
2. Values are already parsed: durations in seconds (float), sizes in octets (int), networks as written.
3. Unknown keys are errors. `app.config_file` reads TOML into this; nothing here opens a file.
4. Keys only ever grow; a default is the safe choice for a household that read nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from ekiden.config.road import Delivery, Detour, Dns, Probe, Route, Site, Source
from ekiden.config.values import Address, Duration, OptionalDuration, OptionalSize, Path, Section, Size, doc
from ekiden.model.door import Door

__all__ = [
    "Address",
    "Brake",
    "Callers",
    "Config",
    "ContentRule",
    "Delivery",
    "Detour",
    "Dns",
    "Dnsbl",
    "Domain",
    "DoorRules",
    "Doors",
    "Duration",
    "Events",
    "ExtraCertificate",
    "History",
    "Limits",
    "Listen",
    "Log",
    "Oauth",
    "OptionalDuration",
    "OptionalSize",
    "Passwords",
    "Path",
    "Probe",
    "Profile",
    "Relay",
    "Restrict",
    "Route",
    "Section",
    "Site",
    "Size",
    "Source",
    "Tls",
    "Watch",
    "WideNetwork",
    "doc",
]


class Tls(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    certificate: Annotated[
        Path, doc("PEM file: our certificate, then the chain. Without it only relay can be open, and has no STARTTLS.")
    ] = ""
    private_key: Annotated[Path, doc("PEM file; the service user must be able to read it, others must not.")] = ""


class ExtraCertificate(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    certificate: Annotated[Path, doc("PEM file: a further certificate, then its chain, for the names that it holds.")]
    private_key: Annotated[Path, doc("PEM file; readable by the service user alone.")]


class Listen(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    relay: Annotated[tuple[Address, ...], doc("25: other mail servers bring mail for our domains.")] = ()
    submission: Annotated[tuple[Address, ...], doc("587: people send, STARTTLS and login.")] = ()
    submissions: Annotated[
        tuple[Address, ...], doc("465: people send, TLS from the first byte and login. The first choice.")
    ] = ()
    pop3: Annotated[tuple[Address, ...], doc("110: people fetch, STLS before login.")] = ()
    pop3s: Annotated[tuple[Address, ...], doc("995: people fetch, TLS from the first byte.")] = ()

    def addresses(self, door: Door) -> tuple[Address, ...]:
        addresses: tuple[Address, ...] = getattr(self, door.value)
        return addresses


class DoorRules(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may come in at one door."""

    allow: Annotated[
        tuple[str, ...],
        doc(
            'Networks that may come in, such as "10.1.0.0/16" or "2001:db8::/48". None: everybody. On the relay door '
            "it keeps out all other mail servers, so that no mail comes from outside."
        ),
    ] = ()
    deny: Annotated[tuple[str, ...], doc("Networks that may not, even if `allow` names them.")] = ()
    proxies: Annotated[
        tuple[str, ...],
        doc(
            "Proxies before this door (HAProxy, nginx). They must begin each connection with a PROXY header (v1 or "
            "v2), and the client's address is taken from it; from everybody else such a header ends the connection."
        ),
    ] = ()


class Doors(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By the names of [listen]."""

    relay: DoorRules = DoorRules()
    submission: DoorRules = DoorRules()
    submissions: DoorRules = DoorRules()
    pop3: DoorRules = DoorRules()
    pop3s: DoorRules = DoorRules()

    def of(self, door: Door) -> DoorRules:
        rules: DoorRules = getattr(self, door.value)
        return rules


class Oauth(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    issuer: Annotated[
        str,
        doc(
            "Whose tokens we take, exactly as they say in iss: "
            '"https://login.example.org/realms/people". None: no OAUTHBEARER and no XOAUTH2.'
        ),
    ] = ""
    audience: Annotated[str, doc("Whom the tokens are for: one of their aud must be this.")] = ""
    jwks_url: Annotated[
        str, doc("Where the issuer shows its public keys, an https URL. Redirects are not followed.")
    ] = ""
    jwks_file: Annotated[Path, doc("Or a file with them (JWKS).")] = ""
    login_claim: Annotated[
        str, doc("The claim that names the login. With email, one that the issuer calls unverified is refused.")
    ] = "email"
    scope: Annotated[str, doc("What the tokens must allow, such as mail. None: nothing in particular.")] = ""


class WideNetwork(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A trusted network larger than a /16 (IPv4) or /48 (IPv6) must be written so."""

    net: str
    wide: bool = False


class Relay(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    trusted_networks: Annotated[
        tuple[str | WideNetwork, ...],
        doc(
            "May relay anywhere without login (printers, application hosts). "
            '"10.0.0.7/32", or {net = "10.0.0.0/8", wide = true}, which a range with a container gateway needs, too.'
        ),
    ] = ()
    profile: Annotated[
        str, doc('How much each address of trusted_networks may send: a [[profile]]. "network": 10,000 messages a day.')
    ] = "network"


class Callers(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pause: Annotated[
        OptionalDuration,
        doc("How long a client that was not seen within 30 days waits for the greeting, or is turned away. 0: none."),
    ] = 2.0
    timeout: Annotated[Duration, doc("What is not known of a client after this counts nothing.")] = 5.0
    refuse_at: Annotated[int, doc("Points of [[dnsbl]] at which recipients get 550. 0: never.")] = 5
    defer_at: Annotated[int, doc("Points at which they get 450. 0: never.")] = 0
    mark_at: Annotated[int, doc("Points at which the letter is marked and an event tells. 0: never.")] = 2
    sign_weight: Annotated[
        int, doc("Points of each weak sign (reverse DNS, HELO). They mark; alone they never refuse or defer.")
    ] = 1
    exempt: Annotated[tuple[str, ...], doc("Networks that are never judged. They may not relay for that.")] = ()
    strangers: Annotated[tuple[str, ...], doc("Special-purpose networks that are judged nevertheless (labs).")] = ()
    greylist: Annotated[
        bool, doc("450 to the first letter of an unknown sender, server and recipient, until it comes again.")
    ] = False
    greylist_delay: Annotated[Duration, doc("How long after the first try the next one is taken.")] = 300.0


class Dnsbl(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    zone: Annotated[str, doc("The list's name in the DNS. Read its terms: many want no questions by public resolvers.")]
    codes: Annotated[
        dict[str, int],
        doc('Which answers count, and their points: {"127.0.0.2" = 5}; 0: as `weight`; "127.0.*.3": any number there.'),
    ]
    weight: Annotated[int, doc("Points of a client that is listed.")] = 5
    page: Annotated[str, doc("The list's page about an address, for refusals; {ip} becomes the client's address.")] = ""
    allow: Annotated[bool, doc("It lists good clients: its points are taken off.")] = False


class Domain(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, doc("A domain whose mail we take on port 25.")]
    recipients: Annotated[
        str,
        doc(
            'How its recipients are known: "accounts", "list:FILE" (one address a line), '
            '"callahead" (ask the next hop) or "any".'
        ),
    ] = "accounts"
    quota: Annotated[OptionalSize, doc("What all mailboxes of the domain may hold together. 0: no limit.")] = 0
    mailbox_quota: Annotated[
        OptionalSize,
        doc("What each mailbox of the domain may hold; `ekiden account quota` says otherwise for one. 0: no limit."),
    ] = 0


class Profile(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much an account may send. The defaults are those of the profile `person`; 0 is no limit."""

    name: Annotated[
        str,
        doc(
            '`ekiden account profile ADDRESS NAME` gives it to an account. "person", "newsletter", "application" and '
            '"network" are there; one of these names replaces it. Keys left out are as in "person".'
        ),
    ]
    messages_per_minute: Annotated[int, doc("Messages within any 60 seconds. 0: no limit; so the next ones.")] = 0
    messages_per_hour: Annotated[int, doc("Messages within any hour.")] = 0
    messages_per_day: Annotated[int, doc("Messages within any 24 hours.")] = 1000
    recipients_per_minute: Annotated[int, doc("Recipients of all messages within any 60 seconds.")] = 0
    recipients_per_hour: Annotated[int, doc("Recipients of all messages within any hour.")] = 0
    recipients_per_day: Annotated[int, doc("Recipients of all messages within any 24 hours.")] = 0
    recipients_per_message: Annotated[int, doc("Recipients of one message. 0: only [limits] recipients counts.")] = 0
    first_time_recipients_per_day: Annotated[
        int, doc("Recipients, within any 24 hours, that the account never wrote to before and that were not imported.")
    ] = 200


class Restrict(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where some may send. Who meets all conditions that are named is bound."""

    name: Annotated[str, doc("What the refusal calls it; senders read it.")]
    account: Annotated[tuple[str, ...], doc('For these accounts; "*": any login. None: for all who send.')] = ()
    profile: Annotated[tuple[str, ...], doc("For accounts (or trusted networks) with one of these profiles.")] = ()
    network: Annotated[tuple[str, ...], doc('For clients of these networks, such as "10.1.0.0/16".')] = ()
    allow: Annotated[
        tuple[str, ...],
        doc('The only recipient domains: "example.org" or "*.example.org". None: all but deny.'),
    ] = ()
    deny: Annotated[tuple[str, ...], doc('Recipient domains that are refused, even if in allow; "*": all.')] = ()


class ContentRule(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, doc("What replies, the queue and events call it: letters, digits, dots and hyphens.")]
    action: Annotated[
        str,
        doc(
            'What becomes of a letter that it matches: "refuse" (550, which names the rule), "hold" (taken, and kept '
            'until somebody releases it) or "mark" (a field X-Ekiden-Content-Rule on top).'
        ),
    ]
    door: Annotated[
        tuple[str, ...], doc('Only at these doors: "relay", "submission", "submissions". None: at all three.')
    ] = ()
    account: Annotated[
        tuple[str, ...],
        doc('Only for these logins: "you@example.org", "*@example.org", "*" (any login). None: for everybody.'),
    ] = ()
    except_account: Annotated[tuple[str, ...], doc("But not for these.")] = ()
    size_over: Annotated[OptionalSize, doc('Matches a letter that is larger, such as "10MiB". 0: any size.')] = 0
    header: Annotated[
        tuple[str, ...],
        doc(
            'Matches one of these fields, letter case does not matter: "Subject: *lottery*", "X-Mailer: Bad*". Encoded '
            "words are compared as they are read."
        ),
    ] = ()
    attachment_name: Annotated[
        tuple[str, ...],
        doc('Matches an attachment that is called so, or a member of a zip archive: "*.exe", "invoice*.zip".'),
    ] = ()
    attachment_kind: Annotated[
        tuple[str, ...],
        doc(
            'Matches an attachment by what it is, whatever it is called: "program", "script", "macros", "encrypted", '
            '"archive", "disk-image", "shortcut", "ole", "tnef", "pdf"; or by a name that is dangerous: '
            '"program-name", "disguised-name".'
        ),
    ] = ()
    attachment_type: Annotated[
        tuple[str, ...], doc('Matches an attachment that is declared so: "application/x-msdownload", "video/*".')
    ] = ()
    unexaminable: Annotated[
        str,
        doc(
            "What becomes of a letter whose attachments cannot be examined (nested too deep, damaged, more than one "
            'reading): "refuse", "hold", "mark" or "pass". None: the same as action.'
        ),
    ] = ""


class Limits(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    message_size: Annotated[Size, doc("The largest letter, as announced by SIZE.")] = 50 * 1024 * 1024
    recipients: Annotated[int, doc("Recipients a letter; RFC 5321 §4.5.3.1.8 asks for 100 at least.")] = 1000
    hops: Annotated[int, doc("Received fields after which a letter is taken for looping (RFC 5321 §6.3).")] = 100
    priority: Annotated[
        int,
        doc(
            "The highest MT-PRIORITY (RFC 6710) that a login or a trusted network may ask for, 0 to 9. "
            "Strangers get 0 at most."
        ),
    ] = 3
    errors: Annotated[int, doc("Syntax and sequence errors a session, then 421.")] = 10
    commands: Annotated[
        int, doc("Commands a session that bring no letter (accepted recipients do not count), then 421. 0: no limit.")
    ] = 200
    guesses: Annotated[
        int,
        doc(
            "Different wrong logins an hour from one address, then logins from there are refused, but for accounts "
            "that came from its network before. 0: no limit."
        ),
    ] = 10
    ban_after: Annotated[
        int,
        doc(
            "Logins that an address tries within an hour after it was refused for guessing; then it is banned: 587, "
            "465 and POP3 are closed to it. 0: never. `ekiden ban list` shows bans, `ekiden ban remove` lifts one."
        ),
    ] = 10
    ban_for: Annotated[
        Duration, doc("How long the first ban lasts; each further one of an address twice as long, a week at most.")
    ] = 3600.0
    unknown_recipients: Annotated[
        int,
        doc(
            "Recipients a session that do not exist, ten times as many an hour and network; further ones get 450, "
            "those that exist are taken. 0: no limit."
        ),
    ] = 20
    sessions: Annotated[
        int, doc("Connections at once, of each worker; a tenth of them is kept for port 587 and 465.")
    ] = 10_000
    connections_per_address: Annotated[
        int,
        doc(
            "Connections at once from one address, all doors and workers together, then 421. Not for trusted_networks "
            "and this machine's own programs. 0: no limit."
        ),
    ] = 50
    connections_per_network: Annotated[int, doc("The same for a network: IPv4 /24, IPv6 /56. 0: no limit.")] = 200
    tarpit: Annotated[
        OptionalDuration,
        doc("How long strangers wait for the refusal of a command or a letter, 30s at most. 0: not at all."),
    ] = 0.0
    drain: Annotated[Duration, doc("How long a stopping server waits for transactions under way.")] = 30.0


class Brake(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    enabled: Annotated[
        bool, doc("Hold the letters of an account that suddenly sends as if its password were stolen.")
    ] = True
    new_accounts: Annotated[
        int,
        doc(
            "Recipients within 24 hours of an account about which too little is known (less than 14 days or 50 "
            "letters); more are held. 0: that is not asked."
        ),
    ] = 500
    exempt: Annotated[
        tuple[str, ...], doc('Accounts whose letters are never held: "news@example.org". The limits hold.')
    ] = ()


class History(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    days: Annotated[int, doc("How long the trail of a letter, and events, are kept.")] = 30
    octets: Annotated[Size, doc("How much disk trails may take; the oldest days go first.")] = 2 * 1024**3


class Events(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    octets: Annotated[
        Size,
        doc("How much disk events may take; the oldest days go first, and today may take half. [history] days, too."),
    ] = 512 * 1024**2


class Watch(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    anomaly_mail: Annotated[
        bool,
        doc(
            "Write to the postmaster when an hour has far more of something than usual, or mail stops: once a day for "
            "each kind at most. The event anomaly.found comes all the same."
        ),
    ] = True


class Log(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    file: Annotated[Path, doc('Where the log goes, one JSON object a line; "-" is standard output.')] = "-"


class Passwords(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    min_length: Annotated[int, doc("Characters that a new password must have at least, 8 to 64.")] = 8
    strength: Annotated[
        int, doc("How hard to guess a new one must be, 1 to 4 as zxcvbn counts; 0: that is not asked.")
    ] = 3
    history: Annotated[
        int, doc("A new one must not be among the account's last so many, the current one counted; 0: it may.")
    ] = 5
    breached_file: Annotated[
        Path,
        doc(
            "More passwords that are refused: a file with one a line, or SHA-1 digests in ascending order, as the "
            "Pwned Passwords downloader writes them. The most common 30,000 are always refused."
        ),
    ] = ""
    max_age_days: Annotated[
        int,
        doc(
            "A password older than this no longer logs in; app passwords do. 0: none is too old, which is today's "
            "advice, because people who must change passwords often choose worse ones."
        ),
    ] = 0


class Config(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    hostname: Annotated[
        str, doc("Our name in greetings, HELO and Received: the name our address resolves to and from.")
    ]
    data_dir: Annotated[Path, doc("Queue, accounts, mailboxes and history; belongs to the service user alone.")]
    user: Annotated[str, doc("Who the server becomes when root started it.")] = ""
    workers: Annotated[int, doc("Worker processes; 0: as many as there are CPUs.")] = 0
    postmaster: Annotated[
        str, doc("Who gets mail to postmaster@ our domains when no account or alias of that name exists.")
    ] = ""
    tls: Tls = Tls()
    extra_certificate: tuple[ExtraCertificate, ...] = ()
    listen: Listen = Listen()
    doors: Doors = Doors()
    relay: Relay = Relay()
    callers: Callers = Callers()
    dnsbl: tuple[Dnsbl, ...] = ()
    oauth: Oauth = Oauth()
    domain: tuple[Domain, ...] = ()
    profile: tuple[Profile, ...] = ()
    restrict: tuple[Restrict, ...] = ()
    route: tuple[Route, ...] = ()
    site: tuple[Site, ...] = ()
    source: tuple[Source, ...] = ()
    content_rule: tuple[ContentRule, ...] = ()
    dns: Dns = Dns()
    delivery: Delivery = Delivery()
    passwords: Passwords = Passwords()
    limits: Limits = Limits()
    brake: Brake = Brake()
    history: History = History()
    events: Events = Events()
    watch: Watch = Watch()
    log: Log = Log()


#: Keys that only a restart changes (DESIGN §5 "Doors").
RESTART_KEYS: Final = ("listen", "user", "data_dir", "workers")
