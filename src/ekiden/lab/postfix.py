"""A Postfix of one's own beside the system's: other folder, other port, same machine. Needs root, as Postfix's
master does.

Tuned as its own documentation advises for a busy relay (TUNING_README): no in_flow_delay, 50 connections to the next
hop from the start, enough processes, no limit on connections of one client.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ekiden.lab.server import LabFailed, free_ports

MASTER: Final = "/usr/lib/postfix/sbin/master"

_MAIN_CF: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
sendmail_path = /usr/sbin/sendmail
newaliases_path = /usr/bin/newaliases
mailq_path = /usr/bin/mailq
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.postfix.test
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
relay_domains = {domains}
transport_maps = inline:{{ {transports} }}
smtp_dns_support_level = disabled
in_flow_delay = 0
default_process_limit = 200
initial_destination_concurrency = 50
default_destination_concurrency_limit = 50
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
{extra}
"""

_SERVICES: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass
class LabPostfix:
    """`next_hops`: recipient domain -> port on 127.0.0.1. `extra`: more lines of main.cf."""

    folder: Path
    next_hops: dict[str, int]
    extra: str = ""
    port: int = field(default_factory=lambda: free_ports(1)[0])

    @staticmethod
    def is_possible() -> str:
        """'' if one can be started here, else why not."""
        if not Path(MASTER).exists():
            return "Postfix is not installed (Debian package postfix)"
        return "" if os.geteuid() == 0 else "Postfix can only be started by root"

    @property
    def config_folder(self) -> Path:
        return self.folder / "etc"

    def main_cf(self) -> str:
        transports = ", ".join(f"{{ {domain} = smtp:[127.0.0.1]:{port} }}" for domain, port in self.next_hops.items())
        return _MAIN_CF.format(
            folder=self.folder, domains=" ".join(self.next_hops), transports=transports, extra=self.extra
        )

    def start(self) -> None:
        for name in ("etc", "spool", "data", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        (self.config_folder / "main.cf").write_text(self.main_cf())
        (self.config_folder / "master.cf").write_text(_SERVICES.format(port=self.port))
        self._postfix("start")

    def stop(self) -> None:
        self._postfix("stop", check=False)

    def master_pid(self) -> int:
        return int((self.folder / "spool" / "pid" / "master.pid").read_text())

    def _postfix(self, verb: str, *, check: bool = True) -> None:
        done = subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.config_folder), verb],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            log = self.folder / "log" / "mail.log"
            raise LabFailed(f"postfix {verb}: {done.stderr} {log.read_text() if log.exists() else ''}")
