"""An Exim of one's own, from Debian's package but not installed (it conflicts with Postfix): see tools/fetch_exim.sh.

It runs from a folder, on loopback, and never as root: what is started by root is given to `nobody`, with a copy of the
program that `nobody` can reach. Debian's build insists on a user `Debian-exim`; nss_wrapper names ours so. Exim calls
itself anew for each delivery and clears its environment first, so the configuration keeps those variables.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ekiden.lab.server import READY_SECONDS, LabFailed, free_ports

#: Where tools/fetch_exim.sh puts it, in the clone; $EKIDEN_PEERS names another folder.
PEERS: Final = Path(os.environ.get("EKIDEN_PEERS", Path(__file__).parents[3] / ".peers")) / "exim"

_CONFIG: Final = """\
exim_path = {program}
keep_environment = LD_PRELOAD : LD_LIBRARY_PATH : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
primary_hostname = {hostname}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
deliver_drop_privilege = true
domainlist relayed = {relayed}
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
split_spool_directory = true
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_accept_reserve = 0
queue_run_max = 50
remote_max_parallel = 50
{tls}
{extra}

begin acl
rcpt:
  accept domains = +relayed
  accept domains = {domain}
         local_parts = {users}
  deny message = no such user here

begin routers
onward:
  driver = manualroute
  domains = +relayed
  route_data = 127.0.0.1::${{extract{{$domain_data}}{{{ports}}}}}
  self = send
  host_find_failed = defer
  transport = smtp
here:
  driver = accept
  domains = {domain}
  local_parts = {users}
  transport = maildir

begin transports
smtp:
  driver = smtp
  allow_localhost
  hosts_try_fastopen = :
{smtp}
maildir:
  driver = appendfile
  directory = {folder}/boxes/$local_part_data
  maildir_format
  create_directory

begin retry
* * F,1h,2s
"""


@dataclass
class LabExim:
    """`next_hops`: recipient domain -> port on 127.0.0.1. `users` of `domain` have a Maildir in `boxes`. `extra`: more
    main options; `smtp`: more options of the transport that sends. `certificate`: a PEM file and its key. `gathered`:
    `process` is the parent of all of its processes, orphans too (`lab.reaper`)."""

    folder: Path
    next_hops: dict[str, int] = field(default_factory=dict)
    domain: str = "exim.test"
    users: tuple[str, ...] = ("carol",)
    extra: str = ""
    smtp: str = ""
    certificate: tuple[Path, Path] | None = None
    gathered: bool = False
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_possible() -> str:
        """'' if one can be started here, else why not."""
        if not (PEERS / "usr/sbin/exim4").exists():
            return "Exim is not there (tools/fetch_exim.sh fetches it; it is not installed)"
        return ""

    @property
    def boxes(self) -> Path:
        return self.folder / "boxes"

    @property
    def program(self) -> Path:
        return self.folder / "exim/usr/sbin/exim4"

    def log(self) -> str:
        """What it says about letters and about itself."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*log")))

    def start(self) -> None:
        """Starts the daemon, with a queue runner a second, and waits until it greets."""
        self._prepare()
        owner = self._owner()
        command = [str(self.program), "-C", str(self.folder / "exim.conf"), "-bdf", "-q2s"]
        drop = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        environment = self._environment()
        if self.gathered:
            user = (str(owner.pw_uid), str(owner.pw_gid)) if drop else ("-1", "-1")
            command = [sys.executable, "-m", "ekiden.lab.reaper", *user, *command]
            drop, environment = {}, os.environ | environment
        with (self.folder / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                cwd="/",
                **drop,  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._greets():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabFailed(f"Exim: {(self.folder / 'stderr').read_text()} {self.log()}")
            time.sleep(0.02)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(30)

    # --- within ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _owner() -> pwd.struct_passwd:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    def _environment(self) -> dict[str, str]:
        libraries = [str(path) for path in (self.folder / "exim/usr/lib").glob("*-linux-*")]
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_PRELOAD": "libnss_wrapper.so",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.folder / "group"),
        }

    def _prepare(self) -> None:
        owner = self._owner()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for part in ("usr/sbin", "usr/lib"):
            shutil.copytree(PEERS / part, self.folder / "exim" / part, symlinks=True, dirs_exist_ok=True)
        for name in ("spool", "log", "boxes"):
            (self.folder / name).mkdir(exist_ok=True)
            shutil.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        for source, name in zip(self.certificate or (), ("cert.pem", "key.pem"), strict=False):
            shutil.copyfile(source, self.folder / name)
            shutil.chown(self.folder / name, owner.pw_uid)
        group = grp.getgrgid(owner.pw_gid).gr_name
        (self.folder / "passwd").write_text(
            f"root:x:0:0::/root:/bin/sh\n{owner.pw_name}:x:{owner.pw_uid}:{owner.pw_gid}::/:/bin/false\n"
            f"Debian-exim:x:{owner.pw_uid}:{owner.pw_gid}::/:/bin/false\n"
        )
        (self.folder / "group").write_text(f"root:x:0:\n{group}:x:{owner.pw_gid}:\nDebian-exim:x:{owner.pw_gid}:\n")
        (self.folder / "exim.conf").write_text(self._config())
        (self.folder / "exim.conf").chmod(0o644)

    def _config(self) -> str:
        tls = "tls_advertise_hosts ="
        if self.certificate is not None:
            pair = f"tls_certificate = {self.folder}/cert.pem\ntls_privatekey = {self.folder}/key.pem"
            tls = f"tls_advertise_hosts = *\n{pair}"
        return _CONFIG.format(
            program=self.program,
            folder=self.folder,
            hostname=f"mail.{self.domain}",
            domain=self.domain,
            users=" : ".join(self.users),
            port=self.port,
            relayed=" : ".join(self.next_hops),
            ports=" ".join(f"{domain}={port}" for domain, port in self.next_hops.items()),
            tls=tls,
            extra=self.extra,
            smtp=self.smtp,
        )

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False
