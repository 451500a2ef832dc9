"""A model in a child process predicts like one in this process (pyfunc/isolated.py).

The child runs in this very environment here; tests/env/test_real_environments.py builds others.
"""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import PyfuncError, SchemaError
from pyfunc.isolated import IsolatedModel
from pyfunc.processes.wire_errors import RemoteTraceback

SCRIPT = """
import os, signal, sys, time
import pyfunc

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        print("printed by the model")
        what = model_input["what"].iloc[0]
        if what == "raise":
            raise KeyError("no such key")
        if what == "exit":
            sys.exit(3)
        if what == "die":
            os._exit(7)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "spin":
            while True:
                pass
        if what == "pid":
            return os.getpid()
        if what == "unsendable":
            return object()
        if what == "params":
            return [params, context.model_config]
        return model_input.assign(twice=model_input["x"] * 2)

    def predict_stream(self, context, model_input, params=None):
        for part in range(3):
            yield {"part": part}
        if "raise" in str(model_input):
            raise ValueError("in the middle")

pyfunc.set_model(Model())
"""

EXAMPLE = pd.DataFrame({"x": [1.0, 2.0], "what": ["a", "b"]})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("isolated")
    (folder / "script.py").write_text(SCRIPT)
    pyfunc.save_model(
        folder / "model",
        python_model=folder / "script.py",
        signature=pyfunc.infer_signature(EXAMPLE, None, {"scale": 1.0}),
        input_example=(EXAMPLE, {"scale": 2.0}),
        model_config={"key": 1},
        streamable=True,
        pip_requirements=[],
    )
    return folder / "model"


def load(path: Path, **options: Any) -> IsolatedModel:
    model = pyfunc.load_model(path, env="isolated", env_manager="local", **options)
    assert isinstance(model, IsolatedModel)
    return model


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[IsolatedModel]:
    with load(path) as loaded:
        yield loaded


def ask(what: str, rows: int = 1) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame({"x": np.arange(float(rows)), "what": [what] * rows})
    return frame


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(process: int) -> None:
    for _ in range(400):
        if not is_running(process):
            return
        time.sleep(0.05)
    pytest.fail(f"process {process} is still running")


def test_predictions_are_those_of_the_same_model_here(model: IsolatedModel, path: Path) -> None:
    data = ask("a", 5)
    before = data.copy(deep=True)
    pd.testing.assert_frame_equal(model.predict(data), pyfunc.load_model(path).predict(data))
    pd.testing.assert_frame_equal(data, before)


def test_it_runs_in_another_process(model: IsolatedModel) -> None:
    assert model.predict(ask("pid")) not in (0, os.getpid())
    assert model.environment.manager == "local"


def test_params_and_the_configuration_arrive(model: IsolatedModel, path: Path) -> None:
    assert model.predict(ask("params"), {"scale": 3.0}) == [{"scale": 3.0}, {"key": 1}]
    assert model.predict(ask("params")) == [{"scale": 1.0}, {"key": 1}]
    with load(path, model_config={"key": 2}) as other:
        assert other.predict(ask("params"))[1] == {"key": 2}
        assert other.model_config == {"key": 2}


def test_a_configuration_file_is_found_from_another_folder(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("key: 3\n")
    monkeypatch.chdir(tmp_path)
    with load(path, model_config=Path("config.yaml")) as other:
        assert other.predict(ask("params"))[1] == {"key": 3}


def test_what_the_model_file_says_is_known_here(model: IsolatedModel, path: Path) -> None:
    there = pyfunc.load_model(path)
    assert model.metadata == there.metadata
    assert model.input_schema == there.input_schema
    pd.testing.assert_frame_equal(model.input_example, there.input_example)
    assert model.loader_module == there.loader_module


def test_the_errors_of_the_model_arrive_as_themselves(model: IsolatedModel) -> None:
    with pytest.raises(KeyError, match="no such key") as caught:
        model.predict(ask("raise"))
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "script.py" in str(caught.value.__cause__)


def test_data_that_do_not_fit_the_signature_are_refused(model: IsolatedModel) -> None:
    with pytest.raises(SchemaError) as caught:
        model.predict(pd.DataFrame({"x": ["text"]}))
    assert {problem.path for problem in caught.value.problems} == {"inputs['x']", "inputs['what']"}


def test_data_that_cannot_be_sent_are_refused_and_the_model_lives_on(model: IsolatedModel) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        model.predict(object())
    with pytest.raises(TypeError, match="cannot be sent"):
        model.predict(ask("unsendable"))
    assert len(model.predict(ask("a"))) == 1


def test_a_model_that_exits_does_not_end_this_process(model: IsolatedModel) -> None:
    with pytest.raises(PyfuncError, match="SystemExit: 3"):
        model.predict(ask("exit"))
    assert len(model.predict(ask("a"))) == 1


def test_a_stream(model: IsolatedModel) -> None:
    parts = [{"part": 0}, {"part": 1}, {"part": 2}]
    assert list(model.predict_stream(ask("a"))) == parts
    first, second = model.predict_stream(ask("a")), model.predict_stream(ask("b"))
    assert [next(first), next(second), next(first)] == [parts[0], parts[0], parts[1]]
    first.close()  # type: ignore[attr-defined]
    assert list(second) == parts[1:]
    with pytest.raises(ValueError, match="in the middle"):
        list(model.predict_stream(ask("raise")))


def test_threads_take_turns(model: IsolatedModel) -> None:
    results: dict[int, int] = {}

    def work(rows: int) -> None:
        for _ in range(5):
            results[rows] = len(model.predict(ask("a", rows)))

    threads = [threading.Thread(target=work, args=(rows,)) for rows in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {rows: rows for rows in range(1, 6)}


def test_large_data_cross_both_ways(model: IsolatedModel) -> None:
    found = model.predict(ask("a", 300_000))
    assert found["twice"].iloc[-1] == 599_998.0


def test_objects_of_the_other_process_cannot_be_had(model: IsolatedModel) -> None:
    for get in (model.unwrap_python_model, model.get_raw_model):
        with pytest.raises(PyfuncError, match="another process"):
            get()


@pytest.mark.parametrize(("what", "how"), [("die", "status 7"), ("kill", "signal SIGKILL")])
def test_a_child_that_dies_is_an_error_and_so_is_every_later_call(
    path: Path, what: str, how: str
) -> None:
    model = load(path)
    with pytest.raises(PyfuncError, match=how):
        model.predict(ask(what))
    with pytest.raises(PyfuncError, match="has been closed"):
        model.predict(ask("a"))


def test_closing_ends_the_child(path: Path) -> None:
    model = load(path)
    child = model.predict(ask("pid"))
    model.close()
    model.close()
    assert not is_running(child)
    with pytest.raises(PyfuncError, match="has been closed"):
        model.predict(ask("a"))
    with pytest.raises(PyfuncError, match="has been closed"):
        next(model.predict_stream(ask("a")))


def test_a_model_that_is_not_needed_any_more_ends_its_child(path: Path) -> None:
    model = load(path)
    child = model.predict(ask("pid"))
    del model
    gc.collect()
    assert not is_running(child)


def test_what_a_model_prints_goes_to_standard_error(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with load(path) as model:
        model.predict(ask("a"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "printed by the model" in err


def test_a_model_that_cannot_be_loaded_leaves_no_child(path: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import pyfunc\nraise OSError(2, 'gone', 'file')\n")
    (tmp_path / "MLmodel").write_bytes((path / "MLmodel").read_bytes())
    before = children_here()
    with pytest.raises(PyfuncError, match="gone"):
        load(tmp_path)
    assert children_here() == before


def children_here() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


PARENT = """
import sys, threading, time
import pandas as pd, pyfunc
model = pyfunc.load_model(sys.argv[1], env="isolated", env_manager="local")
frame = pd.DataFrame({"x": [1.0], "what": ["pid"]})
print(model.predict(frame), flush=True)
if sys.argv[2] == "spin":
    frame["what"] = "spin"
    model.predict(frame)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["idle", "spin"])
def test_killing_the_parent_leaves_no_child(path: Path, state: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(path), state],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    time.sleep(0.2)
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=60)
    wait_until_gone(child)


def test_an_interrupted_call_closes_the_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(path)
    child = model.predict(ask("pid"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model._child._pipe, "receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.predict(ask("a"))
    assert not is_running(child)


def test_a_python_that_does_not_run_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from pyfunc.env.creating.environments import prepare_environment as real

    def broken(*arguments: Any, **options: Any) -> Any:
        return replace(real(*arguments, **options), python=Path("/nonexistent/python"))

    monkeypatch.setattr("pyfunc.loading.isolated.prepare_environment", broken)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        load(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_kind_of_environment_is_checked(path: Path) -> None:
    with pytest.raises(ValueError, match="got 'docker'"):
        pyfunc.load_model(path, env="docker")  # type: ignore[arg-type]


def test_what_load_context_raises_is_caught_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import pyfunc\nclass Model(pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n        open('/no/such/file')\n"
        "    def predict(self, model_input):\n        return 1\npyfunc.set_model(Model())\n"
    )
    path = tmp_path / "model"
    pyfunc.save_model(path, python_model=tmp_path / "script.py", pip_requirements=[])
    with pytest.raises(FileNotFoundError) as caught:
        load(path)
    assert isinstance(caught.value, pyfunc.ModelIncompleteError)
    assert (caught.value.filename, caught.value.errno) == ("/no/such/file", 2)
    assert str(path) in str(caught.value)


def test_an_isolated_model_says_that_it_cannot_be_copied(model: IsolatedModel) -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps, cloudpickle.dumps):
        with pytest.raises(PyfuncError, match="neither copied nor pickled"):
            attempt(model)
