"""MariaDB and RabbitMQ: what the services keep their records in and talk over."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from tests.integration.openstack.trouble import RigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.openstack.install import Software
    from tests.integration.openstack.processes import Processes

# Nothing here outlives the run, so nothing waits for the disk.
_HASTY = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-log-file-size=32M",
    "--max-connections=600",
    "--performance-schema=0",
)


def clean_environment(home: Path) -> dict[str, str]:
    """Give what every process starts from: nothing of the developer's shell, its proxies least of all."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def account() -> str:
    """Name who runs this, whatever the shell's variables say."""
    return pwd.getpwuid(os.getuid()).pw_name


def free_ports(count: int) -> list[int]:
    """Find TCP ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for(what: str, ready: Callable[[], bool], processes: Processes, seconds: float = 120) -> None:
    """Ask until the answer is yes; say whose log to read when it never is, or when a process ended."""
    deadline = time.monotonic() + seconds
    while not ready():
        if ended := processes.ended():
            raise RigError(f"{ended[0]} ended before {what}\n{processes.tail(ended[0])}")
        if time.monotonic() > deadline:
            raise RigError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.1)


class Database:
    """MariaDB on a Unix socket in the run folder; the user who runs it is its superuser, by the socket."""

    def __init__(self, software: Software, folder: Path, processes: Processes) -> None:
        self._software, self._folder, self._processes = software, folder, processes
        self._data = folder / "mariadb"
        self._socket = folder / "mariadb.sock"
        self._user = account()
        self._environment = {**clean_environment(folder), "LD_LIBRARY_PATH": software.libraries}

    def create(self) -> None:
        """Make an empty database server's files."""
        self._processes.run(
            "mariadb-install-db",
            self._software.debian / "usr/bin/mariadb-install-db",
            *("--no-defaults", f"--basedir={self._software.debian}/usr", f"--datadir={self._data}"),
            *(f"--user={self._user}", f"--auth-root-socket-user={self._user}", "--skip-test-db"),
            *("--innodb-log-file-size=32M",),
            env=self._environment,
        )

    def start(self) -> None:
        self._processes.start(
            "mariadb",
            self._software.debian / "usr/sbin/mariadbd",
            *("--no-defaults", f"--basedir={self._software.debian}/usr", f"--datadir={self._data}"),
            *(f"--user={self._user}", f"--socket={self._socket}", "--skip-networking", *_HASTY),
            env=self._environment,
        )
        wait_for("MariaDB", self._answers, self._processes)

    def save(self, template: Path) -> None:
        """Stop the server, and keep a copy of its files."""
        self._processes.stop("mariadb")
        half = template.with_name(template.name + ".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(self._data, half)
        half.rename(template)

    def load(self, template: Path) -> None:
        shutil.copytree(template, self._data)

    def url(self, name: str) -> str:
        """Give the SQLAlchemy URL of one database."""
        return f"mysql+pymysql://{self._user}@localhost/{name}?charset=utf8mb4&unix_socket={self._socket}"

    def sql(self, statement: str, database: str = "") -> list[list[str]]:
        """Carry out SQL as the superuser; give the rows, each a list of texts."""
        done = self._client(statement, database)
        if done.returncode:
            raise RigError(f"MariaDB refused {statement!r}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def _answers(self) -> bool:
        return self._client("SELECT 1", "").returncode == 0

    def _client(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(str(self._software.debian / "usr/bin/mariadb"), "--no-defaults", f"--user={self._user}"),
                *(f"--socket={self._socket}", "--batch", "--skip-column-names"),
                *(f"--execute={statement}", *([database] if database else [])),
            ],
            env=self._environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


class Broker:
    """RabbitMQ on loopback, its port mapper (epmd) too, under a password of this run."""

    def __init__(self, software: Software, folder: Path, processes: Processes, password: str) -> None:
        self._software, self._folder, self._processes = software, folder, processes
        self._password = password
        self._port, self._peers, self._mapper = free_ports(3)

    @property
    def url(self) -> str:
        return f"rabbit://rig:{self._password}@127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start it; it answers some seconds later (ready)."""
        folder = self._folder / "rabbitmq"
        folder.mkdir()
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            f"default_user = rig\ndefault_pass = {self._password}\n"
            "log.console = true\nlog.file = false\n",
            encoding="utf-8",
        )
        (folder / "plugins").write_text("[].\n", encoding="utf-8")
        erlang = self._software.debian / "usr/lib/erlang/bin"
        environment = clean_environment(folder)
        environment |= {
            "PATH": f"{erlang}:{environment['PATH']}",
            "LD_LIBRARY_PATH": self._software.libraries,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_DIST_PORT": str(self._peers),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_NODENAME": "rig@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Without this a shell stays in front of the server, and stops it with rabbitmqctl.
            "RUNNING_UNDER_SYSTEMD": "1",
        }
        # In the foreground, before RabbitMQ would start one as a daemon that outlives it.
        self._processes.start("epmd", erlang / "epmd", env=environment)
        wait_for("Erlang's port mapper", lambda: _listens(self._mapper), self._processes)
        (server,) = self._software.debian.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
        self._processes.start("rabbitmq", server, env=environment)

    def ready(self) -> None:
        wait_for("RabbitMQ", lambda: _listens(self._port), self._processes)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
