"""Logins for Postfix: Dovecot's authentication service alone, on a Unix socket (Postfix's SASL_README advises it)."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ekiden.lab.server import READY_SECONDS, LabFailed

_CONFIG: Final = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
stats_writer_socket_path =
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home=/nonexistent
}}
service auth {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@dataclass
class LabSasl:
    """`logins`: login -> password."""

    folder: Path
    logins: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_possible() -> str:
        """'' if it can be started here, else why not."""
        return "" if shutil.which("dovecot") else "Dovecot is not installed (Debian package dovecot-core)"

    @property
    def socket(self) -> Path:
        return self.folder / "auth"

    def start(self) -> None:
        """Raises LabFailed."""
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        users = self.folder / "users"
        users.write_text("".join(f"{login}:{password}\n" for login, password in self.logins.items()))
        users.chmod(0o600)
        shutil.chown(users, owner.pw_uid)
        config = self.folder / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                socket=self.socket,
                user=owner.pw_name,
                group=grp.getgrgid(owner.pw_gid).gr_name,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
            )
        )
        with (self.folder / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(["dovecot", "-F", "-c", str(config)], stderr=errors)
        deadline = time.monotonic() + READY_SECONDS
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabFailed(f"Dovecot: {(self.folder / 'stderr').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(30)
