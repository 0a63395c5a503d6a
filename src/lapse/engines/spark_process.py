"""The one Spark of this process: a JVM that is started for the first user and ended after the last.

Guarantees: it keeps its files and its output in a folder of its own that goes with it, and listens on the address
alone at which its cluster reaches it, on loopback without one. Called by `spark_engine`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import shown

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

HOW_TO_INSTALL = "pip install 'lapse[spark]'"
_LOCAL = re.compile(r"local(\[(\d{1,4}|\*)\])?")
_CLUSTER = re.compile(r"spark://([\w.-]+:\d{1,5}(?:,[\w.-]+:\d{1,5})*)")
_LOOPBACK = "127.0.0.1"
_KNOCK_SECONDS = 5
_WORKER_SECONDS = 60
_END_SECONDS = 20


def check_master(master: str) -> None:
    """Raise `InvalidInput` unless `master` is `local`, `local[N]`, `local[*]` or `spark://HOST:PORT`."""
    if not _LOCAL.fullmatch(master) and not _CLUSTER.fullmatch(master):
        raise InvalidInput(
            f"`{shown(master)}` is no master of Spark", hint="write `spark://HOST:PORT`, or `local` for this machine"
        )


def check_installed() -> None:
    """Raise `Unavailable` with what to install, unless PySpark, sqlglot and Java are there."""
    if not all(importlib.util.find_spec(name) for name in ("pyspark", "sqlglot")):
        raise Unavailable("reviews on Spark need PySpark, which is not installed", hint=f"`{HOW_TO_INSTALL}`")
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=f"{home}/bin" if home else None):
        raise Unavailable(
            "reviews on Spark need Java 17, which is not installed",
            hint="on Debian, `apt-get install openjdk-17-jre-headless`; elsewhere, JAVA_HOME says where it is",
        )


@dataclass
class _Running:
    """A JVM with a Spark in it; `ends` is everything that must be undone."""

    master: str
    session: SparkSession
    process: subprocess.Popen[bytes]
    ends: ExitStack
    users: int = 0

    @property
    def works(self) -> bool:
        """Whether it still takes queries: it may have crashed, or its cluster may have let it go."""
        if self.process.poll() is not None:
            return False
        stopped: bool = self.session.sparkContext._jsc.sc().isStopped()  # noqa: SLF001  PySpark has no public way
        return not stopped


@dataclass
class Lease:
    """One user's session of a running Spark, with tables of its own; `end` gives it back."""

    session: SparkSession
    end: Callable[[], None]


@dataclass
class SparkProcess:
    """Where leases come from: Spark knows one context a process, so that all users share it."""

    _running: _Running | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def lease(self, master: str, settings: Mapping[str, str]) -> Lease:
        """A session on `master`; `settings` are Spark's and count only if it is started by this.

        Raises:
            Unavailable: it does not start, its cluster does not answer or has no worker, or this process has one
                elsewhere.
        """
        with self._lock:
            if self._running is not None and not self._running.works:
                self._stop()
            if self._running is None:
                self._running = _started(master, settings)
            running = self._running
            if running.master != master:
                raise Unavailable(f"another review is on Spark at `{running.master}`, and there can be only one")
            running.users += 1
            ended = threading.Event()
            return Lease(running.session.newSession(), lambda: self._give_back(running, ended))

    def _give_back(self, running: _Running, ended: threading.Event) -> None:
        with self._lock:
            if ended.is_set():
                return
            ended.set()
            running.users -= 1
            if running.users == 0 and running is self._running:
                self._stop()

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.ends.close()


SHARED = SparkProcess()


def _started(master: str, settings: Mapping[str, str]) -> _Running:
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    own_address = _own_address(master)
    with ExitStack() as ends:
        folder = Path(
            ends.enter_context(tempfile.TemporaryDirectory(prefix="lapse-spark-", ignore_cleanup_errors=True))
        )
        conf = SparkConf(loadDefaults=False)
        conf.setAll(list({**_settings(master, own_address, folder), **settings}.items()))
        gateway = _gateway(conf, folder, ends)
        _keep_signals(ends)
        try:
            context = SparkContext(conf=conf, gateway=gateway)
        except Exception as error:  # noqa: BLE001  whatever it is, Spark is not there
            raise _not_started(error, folder) from None
        ends.callback(_end_context, context)
        if master.startswith("spark:"):
            _await_worker(context, master)
        session = SparkSession(context)
        _quiet()
        return _Running(master, session, gateway.proc, ends.pop_all())


def _settings(master: str, own_address: str, folder: Path) -> dict[str, str]:
    """What may not be otherwise; the rest is as Spark's own `spark-defaults.conf` says."""
    here = _LOCAL.fullmatch(master) is not None
    return {
        "spark.master": master,
        "spark.app.name": "lapse review",
        "spark.driver.host": own_address,
        "spark.driver.bindAddress": own_address,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={folder} -XX:-UsePerfData",
        # Other users of this machine could else connect to its ports; on a cluster it must be as the cluster has it.
        **({"spark.authenticate": "true", "spark.local.dir": str(folder), **_FEW} if here else {}),
    }


_FEW = {
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "4",
    "spark.sql.constraintPropagation.enabled": "false",
}
"""For one machine: with the usual 200 pieces, most of a query would be the making of empty ones; and what Spark infers
about columns, to read fewer rows, takes it longer than to read them."""


def _gateway(conf: Any, folder: Path, ends: ExitStack) -> Any:
    """A JVM of our own, which dies with this process; what it prints goes into the folder."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    with _log(folder).open("ab") as log:
        try:
            gateway = launch_gateway(conf, {"cwd": folder, "stdout": log, "stderr": log})  # type: ignore[no-untyped-call]  # PySpark declares no types here
        except Exception as error:  # noqa: BLE001  whatever it is, Spark is not there
            raise _not_started(error, folder) from None
    ends.callback(_end_gateway, gateway)
    # A context takes the gateway that it is given only if PySpark has none yet.
    SparkContext._gateway = None  # noqa: SLF001
    SparkContext._jvm = None  # noqa: SLF001
    return gateway


def _end_gateway(gateway: Any) -> None:
    from pyspark import SparkContext

    with suppress(Exception):
        gateway.shutdown()
    process: subprocess.Popen[bytes] = gateway.proc
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    SparkContext._gateway = None  # noqa: SLF001  else the next context would call a JVM that is gone
    SparkContext._jvm = None  # noqa: SLF001


def _end_context(context: SparkContext) -> None:
    from pyspark.sql import SparkSession

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):  # a JVM that is gone ends the first try half way; the second has nothing left to ask of it
            with suppress(Exception):
                context.stop()
    SparkSession._instantiatedSession = None  # noqa: SLF001  else the next builder would take it


def _keep_signals(ends: ExitStack) -> None:
    """PySpark takes SIGINT for itself in the main thread, and would keep it when Spark is long gone."""
    if threading.current_thread() is threading.main_thread():
        ends.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))


def _quiet() -> None:
    """What goes wrong in a query is raised; PySpark and Py4J print it besides, with the whole trace."""
    import py4j.java_gateway
    from pyspark.logger import PySparkLogger

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True
    # Its calls of the module write to the root logger, and give it a handler if there is none.
    py4j.java_gateway.logging = py4j.java_gateway.logger


def _own_address(master: str) -> str:
    """The address of this machine at which the cluster can reach it; it is known from the master's answer."""
    cluster = _CLUSTER.fullmatch(master)
    if cluster is None:
        return _LOOPBACK
    for place in cluster[1].split(","):
        host, _, port = place.rpartition(":")
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS) as answered:
            address: str = answered.getsockname()[0]
            return address
    raise Unavailable(f"no master of Spark answers at `{master}`", hint="see that it runs, and that its port is open")


def _await_worker(context: SparkContext, master: str) -> None:
    """Spark itself would wait for ever for a worker that has room."""
    until = time.monotonic() + _WORKER_SECONDS
    while not _has_worker(context, master):
        if time.monotonic() > until:
            raise Unavailable(
                f"the Spark cluster at `{master}` has had no room for {_WORKER_SECONDS} s",
                hint="see that a worker is registered and has a core and `spark.executor.memory` left",
            )
        time.sleep(0.1)


def _has_worker(context: SparkContext, master: str) -> bool:
    """Raises `Unavailable` if the master gave us up, which it does when executors end as soon as they are started."""
    from py4j.protocol import Py4JError

    try:
        known: int = context._jsc.sc().getExecutorMemoryStatus().size()  # noqa: SLF001  PySpark has no public way
    except (Py4JError, OSError):
        raise Unavailable(
            f"the Spark cluster at `{master}` could not start an executor",
            hint="the log of a worker says why",
        ) from None
    return known >= 2  # noqa: PLR2004  the driver and another


def _not_started(error: Exception, folder: Path) -> Unavailable:
    lines = [text.strip() for text in _log(folder).read_text("utf-8", "replace").splitlines()]
    told = [text for word in ("Exception", "Error") for text in lines if word in text] or [str(error)]
    return Unavailable(f"Spark does not start: {shown(told[0], 300)}", hint="it needs Java 17 or later")


def _log(folder: Path) -> Path:
    return folder / "spark.log"
