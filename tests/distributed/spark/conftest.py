"""A session of Spark of the kind that the run asks for, all of it started for real."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ZONE = "America/New_York"
_DEPLOY = "org.apache.spark.deploy"
_JARS = Path(pyspark.__file__).parent / "jars"
_SCALA = next(_JARS.glob("spark-core_*.jar")).name.partition("_")[2].partition("-")[0]
# What Java 17 asks for before it lets Spark look inside it.
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
)
_OPENS = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED]


class Standalone:
    """A master and two workers of Spark, as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
        self.url = f"spark://127.0.0.1:{port}"
        place = ["--host", "127.0.0.1", "--webui-port", "0"]
        self._start(
            "master",
            [f"{_DEPLOY}.master.Master", *place, "--port", str(port)],
            "I have been elected",
        )
        for name in ("one", "two"):
            limits = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / name)]
            self._start(
                name,
                [f"{_DEPLOY}.worker.Worker", *place, *limits, self.url],
                "Successfully registered",
            )

    def _start(self, name: str, command: list[str], ready: str) -> None:
        log = self.folder / f"{name}.log"
        with open(log, "wb") as file:
            process = subprocess.Popen(
                ["java", *_OPENS, "-Xmx256m", "-cp", f"{_JARS}/*", *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={
                    **os.environ,
                    "SPARK_HOME": str(_JARS.parent),
                    "SPARK_SCALA_VERSION": _SCALA,
                    "SPARK_LOCAL_IP": "127.0.0.1",
                },
            )
        self.processes.append(process)
        while ready not in log.read_text("utf-8", "replace"):
            assert process.poll() is None, log.read_text("utf-8", "replace")
            time.sleep(0.1)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()


@pytest.fixture(scope="session")
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--spark"))


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def standalone(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    if mode != "standalone":
        yield None
        return
    cluster = Standalone(tmp_path_factory.mktemp("cluster"))
    yield cluster.url
    cluster.stop()


@pytest.fixture(scope="session")
def started(
    mode: str,
    standalone: str | None,
    environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SparkSession]:
    # Spark and its workers read these from the environment, and nothing else here does.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYFUNC_ENV_ROOT"] = str(environments)
    from pyspark.sql import SparkSession

    warehouse = tmp_path_factory.mktemp("warehouse")
    builder = (
        SparkSession.builder.config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", ZONE)
        .config("spark.sql.warehouse.dir", str(warehouse))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.default.parallelism", "2")
        .config("spark.executorEnv.PYFUNC_ENV_ROOT", str(environments))
    )
    if mode == "connect":
        session = builder.remote("local[2]").getOrCreate()
    else:
        session = builder.master(standalone or "local[2]").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def spark(started: SparkSession) -> SparkSession:
    return started
