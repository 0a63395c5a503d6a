"""A real cluster of Spark on loopback: a master and workers, each a process of its own, ended by its process id."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

from support.spark import JAVA

PATIENCE = 60.0
HOST = "127.0.0.1"
SPARK = Path(pyspark.__file__).parent
SCALA = {"SPARK_SCALA_VERSION": "2.13"}
"""Spark's own scripts would say it; without it, a worker looks for a checkout of Spark's source."""
DEFAULTS = f"""\
spark.executor.memory                 512m
spark.executor.defaultJavaOptions     {" ".join(JAVA)}
spark.driver.defaultJavaOptions       {" ".join(JAVA)}
spark.sql.shuffle.partitions          2
spark.sql.adaptive.enabled            false
spark.eventLog.enabled                true
spark.eventLog.compress               false
"""


@dataclass(frozen=True)
class Cluster:
    """Where it is, what its users need in their environment, and where the events of what they did are written."""

    master: str
    environment: dict[str, str]
    events: Path

    def tasks(self):
        """How many tasks each executor did, by its number."""
        files = [path for path in self.events.rglob("*") if path.is_file()]
        lines = [line for path in files for line in path.read_text().splitlines() if "SparkListenerTaskEnd" in line]
        return Counter(json.loads(line)["Task Info"]["Executor ID"] for line in lines)


@contextmanager
def spark_cluster(folder, workers=2):
    """A cluster whose workers have one core each."""
    conf, events = folder / "conf", folder / "events"
    conf.mkdir(parents=True)
    events.mkdir()
    (conf / "spark-defaults.conf").write_text(f"{DEFAULTS}spark.eventLog.dir file:{events}\n")
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(_process(folder, "master", "--host", HOST, "--port", str(port), "--webui-port", "0"))
        _await_port(port)
        master = f"spark://{HOST}:{port}"
        for number in range(workers):
            _worker(stack, folder, number, master)
        yield Cluster(master, {"SPARK_CONF_DIR": str(conf)}, events)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _worker(stack, folder, number, master):
    work = folder / f"work-{number}"
    size = ("--cores", "1", "--memory", "600m", "--work-dir", str(work), "--webui-port", "0")
    stack.enter_context(_process(folder, "worker", "--host", HOST, *size, master, name=f"worker-{number}"))


@contextmanager
def _process(folder, kind, *words, name=""):
    main = f"org.apache.spark.deploy.{kind}.{kind.capitalize()}"
    options = ("-Xmx256m", *JAVA, f"-Djava.io.tmpdir={folder}")
    command = ["java", "-cp", f"{SPARK}/jars/*", *options, main, *words]
    environment = {"PATH": os.environ["PATH"], "SPARK_HOME": str(SPARK), "SPARK_LOCAL_IP": HOST, **SCALA}
    with (folder / f"{name or kind}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_port(port):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
