"""Spark in tests: quick to start, and kept up between the engines that use it."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import contextmanager

import pytest

from lapse.engines.spark_engine import SparkEngine

MASTER = "local[2]"
JAVA = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
)
"""For a JVM that does not live long: to compile well, and to verify Spark's classes, is a third of its work."""
QUICK = {
    "spark.driver.defaultJavaOptions": " ".join(JAVA),
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.shuffle.partitions": "1",
}
"""For evidence of a few rows: getting ready is nearly all of the time."""

needs_spark = pytest.mark.skipif(
    not (importlib.util.find_spec("pyspark") and shutil.which("java")), reason="PySpark or Java is not installed"
)


def spark_engine():
    return SparkEngine(MASTER, memory="1g", settings=QUICK)


@contextmanager
def spark_kept():
    """A user of Spark beside the test's own, so that closing an engine does not end it."""
    engine = spark_engine()
    engine.query("SELECT 1 AS one")
    try:
        yield
    finally:
        engine.close()
