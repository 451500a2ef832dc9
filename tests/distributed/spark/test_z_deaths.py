"""Workers that are killed in the middle: the answer is right, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

import pyfunc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Slow(pyfunc.PythonModel):
    """Says which process it is in, and waits in the first batch until it is let go on."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import os
        import pathlib
        import time

        folder = pathlib.Path(os.environ["MEETING"])
        (folder / f"{os.getpid()}.{os.getppid()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.05)
        return model_input["0"] * 2


def parents(pid: int) -> list[int]:
    """Return the ids of the processes above one, the nearest first."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def is_java(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "java"


@pytest.mark.parametrize("env_manager", [None, "uv"])
@pytest.mark.parametrize("victim", ["python", "jvm"])
def test_after_a_kill_the_sum_is_right(
    spark: SparkSession, mode: str, tmp_path: Path, victim: str, env_manager: Any
) -> None:
    if mode != "standalone":
        victim = "none"  # there the executor is the driver itself, and does not try again
    requirements = ["pandas==2.2.3", "numpy==1.26.4", "cloudpickle"]
    pyfunc.save_model(tmp_path / "slow", python_model=Slow(), pip_requirements=requirements)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    udf = pyfunc.spark_udf(
        spark, tmp_path / "slow", "long", env_manager, extra_env={"MEETING": str(meeting)}
    )
    found: list[Any] = []
    query = spark.range(0, 20_000, 1, 4).select(udf("id").alias("x")).agg({"x": "sum"})
    thread = threading.Thread(target=lambda: found.extend(query.collect()))
    thread.start()
    while not (arrived := list(meeting.iterdir())):
        assert thread.is_alive()
        time.sleep(0.05)
    pid = int(arrived[0].name.partition(".")[0])
    worker = pid if env_manager is None else parents(pid)[0]
    if victim == "python":
        os.kill(worker, signal.SIGKILL)
    elif victim == "jvm":
        os.kill(next(p for p in parents(worker) if is_java(p)), signal.SIGKILL)
    (meeting / "go").touch()
    thread.join()
    assert found[0][0] == 20_000 * 19_999


def test_after_the_session_no_process_of_the_environment_lives(
    spark: SparkSession, environments: Path
) -> None:
    """The last test of the run: it ends the session."""
    spark.stop()
    deadline = time.monotonic() + 10
    left = {"not looked": ""}
    while left and time.monotonic() < deadline:
        left = {
            path.parent.name: command
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if (command := read(path)).startswith(str(environments))
        }
        time.sleep(0.1)
    assert left == {}


def read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it has ended meanwhile
        return ""
