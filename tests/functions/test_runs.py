"""Jobs: arguments, states, failures, retries, caching, processes of their own."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    PyfuncWarning,
    RunError,
    SchemaError,
)
from pyfunc.functions import Artifact, Dataitem, Function, Project, get_project

Make = Callable[..., Function]
FRAME = pd.DataFrame({"a": [1, 2]})


def states(run: Any) -> list[str]:
    return [step["status"] for step in run.status.transitions]


def test_a_run_goes_through_its_states(make: Make, project: Project) -> None:
    function = make("def f(x, y=2): return x + y")
    run = function.run("job", parameters={"x": 1})
    assert states(run) == ["CREATED", "BUILT", "RUNNING", "COMPLETED"]
    assert run.results() == {"output_0": 3}
    assert project.get_run(run.id).to_dict() == run.to_dict()
    assert {"type": "run_of", "dest": function.key} in run.relationships
    [task] = project.list_tasks()
    assert (task.kind, run.spec.task) == ("python+job", f"python+job://demo/{task.id}")
    function.run(parameters={"x": 1})
    assert project.list_tasks() == [task]
    assert len(function.runs()) == 2


ARGUMENTS = """
def f(a, /, b, *, c, d=1): raise AssertionError("called")
def g(context, event): raise AssertionError("called")
def h(**rest): return sorted(rest)
"""


def test_arguments_are_checked_before_the_function_is_called(make: Make) -> None:
    with pytest.raises(RunError) as raised:
        make(ARGUMENTS).run(parameters={"b": 1, "z": 2, "project": 3})
    cause = raised.value.__cause__
    assert isinstance(cause, SchemaError)
    assert [problem.path for problem in cause.problems] == ["a", "c", "project", "project", "z"]


def test_what_only_a_server_fills_in_is_told(make: Make) -> None:
    with pytest.raises(RunError, match=r"context: .*served"):
        make(ARGUMENTS, handler="g").run()
    assert make("def f(context): return context").run(parameters={"context": "own"}).results() == {
        "output_0": "own"
    }


def test_a_function_may_take_whatever_comes(make: Make) -> None:
    run = make(ARGUMENTS, handler="h").run(parameters={"x": 1}, outputs=["names"])
    names = run.output("names")
    assert isinstance(names, Artifact)
    assert names.as_object() == ["x"]


def test_an_argument_is_given_once(make: Make, project: Project) -> None:
    item = project.log_dataitem("d", data=FRAME)
    function = make("def f(a): return type(a).__name__")
    with pytest.raises(RunError, match="one value, got a parameter and an input"):
        function.run(parameters={"a": 1}, inputs={"a": item})
    run = function.run(parameters={"a": 1}, inputs={"a": item}, compat="digitalhub")
    assert run.results() == {"output_0": "Dataitem"}


def nested(depth: int) -> list[Any]:
    """Return a list in a list, and so on."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        pytest.param({"x": FRAME}, r"parameters\['x'\]: expected a value of JSON", id="frame"),
        pytest.param({"x": {"y": [(1,)]}}, r"parameters\['x'\]\['y'\]\[0\]", id="tuple"),
        pytest.param({"x": {1: 2}}, "keys that are text", id="keys"),
        pytest.param([1], "expected a dict", id="list"),
        pytest.param({"x": nested(2000)}, "parameters: .*nested too deeply", id="deep"),
    ],
)
def test_parameters_are_what_json_holds(
    make: Make, project: Project, parameters: Any, match: str
) -> None:
    refusals = (SchemaError, InvalidArgumentError, InvalidTypeError)
    with pytest.raises(refusals, match=match):
        make("def f(x): pass").run(parameters=parameters)
    assert project.list_runs() == []


@pytest.mark.parametrize(
    "value",
    [
        [math.inf, -0.0, 2**70, "\ud800", None, True],
        {"$bytes": "eA=="},
        {"$float": "1.5"},
        [{"$bytes": "no base64"}, {"$float": "no number"}],
        {"$dict": {"$bytes": "eA=="}},
        {"$dict": 1, "$bytes": 2},
        {"a": {"$dict": {"$dict": math.inf}}},
    ],
)
def test_a_function_gets_the_very_parameters(make: Make, value: Any) -> None:
    assert make("def f(x): return repr(x)").run(parameters={"x": value}).results() == {
        "output_0": repr(value)
    }


def test_what_a_function_does_to_its_parameters_stays_there(make: Make) -> None:
    run = make("def f(x): x.append(2)").run(parameters={"x": [1]})
    assert run.spec.parameters == {"x": [1]}


ANNOTATED = """
import pandas as pd
from pathlib import Path
from typing import Optional
import pyfunc
from pyfunc.functions import Dataitem, handler

@handler(outputs=["kinds"])
def f(item: Dataitem, frame: pd.DataFrame, path: Path, model: pyfunc.PyFuncModel,
      maybe: "Optional[pd.DataFrame]" = None, plain=None):
    return " ".join(type(v).__name__ for v in (item, frame, path, model, maybe, plain))
"""


class Adding(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any) -> Any:
        return model_input + 1


def test_an_input_arrives_as_its_parameter_is_annotated(make: Make, project: Project) -> None:
    item = project.log_dataitem("d", data=FRAME)
    model = project.log_model("m", source=Adding())
    inputs: dict[str, Any] = {
        "item": item.key,
        "frame": item,
        "path": item,
        "model": model,
        "maybe": item,
        "plain": item,
    }
    function = make(ANNOTATED)
    run = function.run(inputs=inputs)
    assert run.result("kinds") == "Dataitem DataFrame PosixPath PyFuncModel DataFrame Dataitem"
    compat = function.run(inputs=inputs, compat="digitalhub")
    assert compat.result("kinds") == "Dataitem Dataitem Dataitem Model Dataitem Dataitem"
    assert run.inputs()["frame"] == item
    assert {"type": "consumes", "dest": item.key} in run.relationships
    with pytest.raises(RunError, match="model: expected an input of type Model"):
        function.run(inputs={**inputs, "model": item})


IMPORTS = """
import pandas as pd
import pyfunc
from pathlib import Path
from typing import Optional, Union
from pyfunc.functions import Artifact, Dataitem, Model
"""


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Artifact", ("Artifact", None, None)),
        ("Model", (None, None, "Model")),
        ("Optional[Model]", (None, None, "Model")),
        ("Union[Artifact, Dataitem]", ("Artifact", "Dataitem", None)),
        ("Dataitem | Artifact | None", ("Artifact", "Dataitem", None)),
        ("pd.DataFrame | Path", ("PosixPath", "DataFrame", "PosixPath")),
        ("Union[str, Path, pd.DataFrame]", ("PosixPath", "PosixPath", "PosixPath")),
        ("'pyfunc.PyFuncModel | Dataitem'", (None, "Dataitem", "PyFuncModel")),
        ("str", ("Artifact", "Dataitem", "Model")),
    ],
)
def test_an_input_is_whatever_of_its_annotation_it_can_be(
    make: Make, project: Project, tmp_path: Path, annotation: str, expected: tuple[str | None, ...]
) -> None:
    tmp_path.joinpath("a.txt").write_text("a")
    inputs = (
        project.log_artifact("a", source=tmp_path / "a.txt"),
        project.log_dataitem("d", data=FRAME),
        project.log_model("m", source=Adding()),
    )
    function = make(f"{IMPORTS}\ndef f(x: {annotation}): return type(x).__name__")
    for entity, name in zip(inputs, expected, strict=True):
        if name is not None:
            assert function.run(inputs={"x": entity}).result("output_0") == name
            continue
        with pytest.raises(RunError, match=r"x: expected an input of type \w+"):
            function.run(inputs={"x": entity})


def test_an_input_that_is_not_there_is_told_before_there_is_a_run(
    make: Make, project: Project
) -> None:
    function = make("def f(d): pass")
    with pytest.raises(LookupError, match="no dataitem"):
        function.run(inputs={"d": "store://demo/dataitem/table/none"})
    with pytest.raises(InvalidArgumentError, match="invalid key"):
        function.run(inputs={"d": "none"})
    with pytest.raises(InvalidArgumentError, match="expected the key of an artifact"):
        function.run(inputs={"d": function.key})
    assert project.list_runs() == []


def test_an_input_without_a_version_is_the_newest_of_that_moment(
    make: Make, project: Project
) -> None:
    project.log_dataitem("d", data=FRAME)
    newest = project.log_dataitem("d", data=FRAME)
    run = make("def f(d): pass").run(inputs={"d": "store://demo/dataitem/table/d"})
    assert run.spec.inputs == {"d": newest.key}


def test_project_and_run_are_filled_in(make: Make, project: Project) -> None:
    run = make(
        """
        def f(project, run):
            run.log_metric("loss", 0.5)
            run.log_metrics({"loss": 0.25})
            run.log_metric("score", 3, single_value=True)
            return project.name, run.id, run.status.state
        """
    ).run()
    assert list(run.results().values()) == ["demo", run.id, "RUNNING"]
    assert run.status.metrics == {"loss": [0.5, 0.25], "score": 3}


def test_numbers_that_json_has_not_are_in_no_document(make: Make) -> None:
    code = """
        def f(run, x):
            import numpy as np
            run.log_metric("loss", float("nan"))
            run.log_metric("loss", np.float32(0.5))
            run.log_metric("least", -float("inf"), single_value=True)
            return repr(x)
    """
    given = {"a": [math.nan, {"b": -math.inf}], "c": 1.5}
    run = make(code).run(parameters={"x": given})
    assert run.result("output_0") == "{'a': [nan, {'b': -inf}], 'c': 1.5}"
    tree = json.loads((run.path / "entity.json").read_bytes(), parse_constant=pytest.fail)
    assert tree["status"]["metrics"] == {
        "loss": [{"$float": "nan"}, 0.5],
        "least": {"$float": "-inf"},
    }


def test_whatever_can_be_awaited_is_awaited(make: Make) -> None:
    code = """
        class Later:
            def __await__(self):
                yield from ()
                return 7
        def f(): return Later()
    """
    assert make(code).run().result("output_0") == 7


def test_coroutines_are_awaited(make: Make) -> None:
    code = "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 'awaited'"
    function = make(code)
    assert function.run().results() == {"output_0": "awaited"}

    async def inside_a_loop() -> Any:
        return function.run().results()

    import asyncio

    assert asyncio.run(inside_a_loop()) == {"output_0": "awaited"}


FAILING = """
def inner(a):
    raise ValueError(f"not {a}")

def f(a):
    inner(a)
"""


def test_a_failure_keeps_its_cause(make: Make, project: Project) -> None:
    with pytest.raises(RunError, match=r"ValueError: not 3\n  at .*main.py:3\nhint") as raised:
        make(FAILING).run(parameters={"a": 3})
    assert isinstance(raised.value.__cause__, ValueError)
    [run] = project.list_runs()
    assert raised.value.run == run.key
    assert states(run)[-1] == "ERROR"
    assert run.status.message == "ValueError: not 3"
    error = run.status.error
    assert (error["type"], error["message"], error["line"]) == ("ValueError", "not 3", 3)
    assert any("in inner" in line for line in run.logs())


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt()"])
def test_whatever_ends_a_function_ends_its_run(make: Make, project: Project, raised: str) -> None:
    with pytest.raises((RunError, KeyboardInterrupt)):
        make(f"def f(): raise {raised}").run()
    [run] = project.list_runs()
    assert run.status.state == ("ERROR" if "Exit" in raised else "STOPPED")


def test_more_attempts_with_growing_pauses(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    # The pauses are what is looked at; nobody should wait for them.
    monkeypatch.setattr(time, "sleep", pauses.append)
    code = """
    from pathlib import Path
    def f(path):
        count = len(Path(path).read_text()) if Path(path).exists() else 0
        Path(path).write_text("x" * (count + 1))
        if count < 3:
            raise OSError(f"attempt {count}")
        return count
    """
    run = make(code).run(parameters={"path": str(tmp_path / "n")}, backoff_limit=5)
    assert run.results() == {"output_0": 3}
    errors = [attempt["error"] for attempt in run.status.attempts]
    assert [error and error["message"] for error in errors] == [
        "attempt 0",
        "attempt 1",
        "attempt 2",
        None,
    ]
    assert pauses == [1.0, 2.0, 4.0]
    log = "\n".join(run.logs())
    assert log.count("OSError: attempt") == 3
    assert "attempt 4 starts" in log


def test_what_fails_every_time_fails(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # As above.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(RunError, match="failed in each of 3 attempts"):
        make("def f(): raise OSError").run(backoff_limit=2)
    with pytest.raises(RunError, match="SchemaError"):
        make("def f(a): pass").run(backoff_limit=2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        pytest.param({"action": "fly"}, "action", id="action"),
        pytest.param({"local_execution": False}, "local_execution", id="elsewhere"),
        pytest.param({"env": "other"}, "env", id="env"),
        pytest.param({"timeout": 0}, "timeout", id="timeout"),
        pytest.param({"timeout": True}, "timeout", id="timeout-truth"),
        pytest.param({"timeout": float("nan")}, "timeout", id="timeout-nan"),
        pytest.param({"timeout": float("inf")}, "timeout: .*\n.*leave it out", id="timeout-inf"),
        pytest.param({"timeout": 2**31}, "timeout", id="timeout-too-long"),
        pytest.param({"volume": []}, "unexpected arguments: volume", id="unknown"),
        pytest.param({"volumes": {}, "backoff_limit": -1}, r"backoff_limit[^$]*volumes", id="two"),
        pytest.param({"envs": [{"name": "A"}]}, r"envs\[0\]", id="envs"),
        pytest.param({"envs": [{"name": "A", "value": "\0"}]}, r"envs\[0\].value", id="null"),
        pytest.param({"envs": [{"name": "A", "value": "\ud800"}]}, "envs", id="surrogate"),
        pytest.param({"inputs": []}, "inputs", id="inputs"),
    ],
)
def test_arguments_of_run_are_checked(
    make: Make, project: Project, arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises((InvalidArgumentError, InvalidTypeError, SchemaError), match=match):
        make("def f(): pass").run(**arguments)
    assert project.list_runs() == []


def test_a_process_that_does_not_start_ends_the_run(make: Make, project: Project) -> None:
    too_long = [{"name": "A", "value": "x" * 10_000_000}]
    with pytest.raises(RunError, match="its process does not start: ") as caught:
        make("def f(): pass").run(envs=too_long)
    assert isinstance(caught.value.__cause__, OSError)
    [run] = project.list_runs()
    assert (run.status.state, run.key) == ("ERROR", caught.value.run)
    assert "does not start" in str(run.status.message)


def test_what_only_a_cluster_heeds_is_kept(make: Make) -> None:
    volumes = [{"volume_type": "empty_dir", "name": "v", "mount_path": "/v"}]
    run = make("def f(): pass").run(volumes=volumes, priority_class="high")
    assert (run.spec["volumes"], run.spec["priority_class"]) == (volumes, "high")


COUNTING = """
from pathlib import Path
import pandas as pd
def f(path, d, x=1):
    with open(path, "a") as file:
        file.write("x")
    return pd.DataFrame({"a": [x]}), x
"""


def test_an_equal_run_is_not_run_again(make: Make, project: Project, tmp_path: Path) -> None:
    item = project.log_dataitem("d", data=FRAME)
    path = tmp_path / "count"
    function = make(COUNTING)

    def run(
        function: Function = function, d: Dataitem = item, x: int = 1, cache: bool = True
    ) -> Any:
        return function.run(inputs={"d": d}, parameters={"path": str(path), "x": x}, cache=cache)

    first, second = run(), run()
    assert (first.status.cached_from, second.status.cached_from) == (None, first.key)
    assert second.results() == first.results()
    assert second.outputs(as_key=True) == first.outputs(as_key=True)
    assert states(second) == ["CREATED", "COMPLETED"]
    assert any(first.key in line for line in second.logs())
    assert path.read_text() == "x"
    run(make(COUNTING, name="other"))
    assert path.read_text() == "x"
    run(x=2)
    run(d=project.log_dataitem("d", data=FRAME))
    run(make(COUNTING + "\n"))
    run(cache=False)
    assert path.read_text() == "xxxxx"
    first.output("output_0").delete()
    assert run().status.cached_from is None


SLEEPING = """
import subprocess, sys, time
from pathlib import Path
def f(path, seconds=600):
    print("it runs", flush=True)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path).write_text(str(child.pid))
    time.sleep(seconds)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come to that")


def read_pid(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def test_a_run_has_a_process_of_its_own_if_nobody_waits(
    make: Make, project: Project, tmp_path: Path
) -> None:
    run = make(SLEEPING).run(parameters={"path": str(tmp_path / "pid")}, wait=False)
    grandchild = read_pid(tmp_path / "pid")
    run.refresh()
    assert run.status.state == "RUNNING"
    with pytest.raises(RunError, match="is RUNNING after"):
        run.wait(timeout=0.01)
    with pytest.raises(InvalidArgumentError, match="stop it first"):
        project.delete_run(run.id)
    following = run.logs(follow=True)
    while "it runs" not in next(following):
        pass
    project.get_run(run.id).stop()
    assert run.wait().status.state == "STOPPED"
    assert list(following) == []
    wait_until(lambda: not is_running(run.status.process) and not is_running(grandchild))
    run.stop()
    project.delete_run(run.id)
    assert project.list_runs() == []


def test_a_timeout_ends_a_run_and_all_that_it_started(make: Make, tmp_path: Path) -> None:
    function = make(SLEEPING)
    with pytest.raises(RunError, match="ended after its timeout of 3 s"):
        function.run(parameters={"path": str(tmp_path / "pid")}, timeout=3)
    [run] = function.runs()
    wait_until(lambda: not is_running(run.status.process))
    assert run.status.state == "ERROR"
    if (tmp_path / "pid").exists():
        pid = read_pid(tmp_path / "pid")
        wait_until(lambda: not is_running(pid))


def test_variables_and_secrets_are_in_the_environment_of_a_process(
    make: Make, project: Project
) -> None:
    project.new_secret("TOKEN", "hush")
    run = make(
        """
        import os
        def f(): return os.environ["A"], len(os.environ["TOKEN"]), os.environ["RUN_ID"]
        """
    ).run(envs=[{"name": "A", "value": "b"}], secrets=["TOKEN"])
    assert list(run.results().values()) == ["b", 4, run.id]
    assert "TOKEN" not in os.environ
    assert "hush" not in run.path.joinpath("entity.json").read_text() + "\n".join(run.logs())
    with pytest.raises(LookupError, match="no secret"):
        make("def f(): pass").run(secrets=["NONE"])


def test_a_failure_in_another_process_is_told(make: Make) -> None:
    with pytest.raises(RunError, match="ValueError: not 3"):
        make(FAILING).run(parameters={"a": 3}, timeout=100)


def test_a_run_inside_this_process_cannot_be_stopped(make: Make, project: Project) -> None:
    code = """
    import time
    from pathlib import Path
    def f(path):
        while not Path(path).exists():
            time.sleep(0.01)
    """
    path = project.path / "go"
    function = make(code)
    thread = threading.Thread(target=lambda: function.run(parameters={"path": str(path)}))
    thread.start()
    wait_until(project.list_runs)
    [run] = project.list_runs()
    try:
        assert run.status.state == "RUNNING"
        with pytest.raises(InvalidArgumentError, match="inside the process"):
            run.stop()
    finally:
        path.write_text("")
        thread.join()
    run.refresh()
    assert run.status.state == "COMPLETED"


IN_ENVIRONMENT = """
import importlib.metadata, sys
def f(): return importlib.metadata.version("six"), sys.prefix
"""


@pytest.mark.slow
def test_requirements_that_differ_get_an_environment(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Environments are kept for the user; those of a test are not.
    monkeypatch.setenv("PYFUNC_ENV_ROOT", str(tmp_path / "envs"))
    function = project.new_function(
        "f", code=IN_ENVIRONMENT, handler="f", python_version=f"PYTHON3_{sys.version_info[1]}",
        requirements=["six==1.15.0"],
    )  # fmt: skip
    run = function.run()
    assert run.result("output_0") == "1.15.0"
    assert run.result("output_1") != sys.prefix


def test_a_python_that_no_environment_can_have_runs_here(project: Project) -> None:
    function = project.new_function(
        "f",
        code="import sys\ndef f(): return sys.version_info[1]",
        handler="f",
        python_version="PYTHON3_9",
    )
    with pytest.warns(PyfuncWarning, match=r"Python 3\.9"):
        run = function.run()
    assert run.results() == {"output_0": int(platform.python_version_tuple()[1])}
    with pytest.raises(InvalidArgumentError, match="env='local'"):
        function.run(env="isolated")


def test_arrays_come_back(make: Make) -> None:
    run = make("import numpy as np\ndef f(): return np.arange(3)").run()
    found = run.output("output_0")
    assert isinstance(found, Artifact)
    np.testing.assert_array_equal(found.as_object(), np.arange(3))


MANY = """
import sys
from pyfunc.functions import get_project
function = get_project("demo", root=sys.argv[1]).get_function("f")
for number in range(int(sys.argv[2])):
    function.run(parameters={"x": number})
"""


def test_eight_processes_run_into_one_project(make: Make, project: Project, root: Path) -> None:
    make("def f(x): return x")
    processes = [subprocess.Popen([sys.executable, "-c", MANY, str(root), "50"]) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    runs = get_project("demo", root=root).list_runs()
    assert len({run.id for run in runs}) == 400
    assert sorted(run.result("output_0") for run in runs) == sorted([*range(50)] * 8)  # type: ignore[type-var]
    assert len(project.list_tasks()) == 1


FAILURES = """
import asyncio

class Odd(Exception):
    def __str__(self): raise RuntimeError("no text")

def f(how):
    raise {"odd": Odd, "cancelled": asyncio.CancelledError, "end": GeneratorExit,
           "lone": lambda: ValueError("\\ud800")}[how]()
"""


@pytest.mark.parametrize("own_process", [False, True])
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("odd", ("main.Odd", "<its text cannot be made>")),
        ("cancelled", ("asyncio.exceptions.CancelledError", "")),
        ("end", ("GeneratorExit", "")),
        ("lone", ("ValueError", "\ud800")),
    ],
    ids=["odd", "cancelled", "end", "lone"],
)
def test_a_run_fails_by_whatever_is_raised(
    make: Make, project: Project, how: str, expected: tuple[str, str], own_process: bool
) -> None:
    more: dict[str, Any] = {"timeout": 60} if own_process else {}
    with pytest.raises(RunError):
        make(FAILURES).run("job", parameters={"how": how}, **more)
    [run] = project.list_runs()
    assert run.status.state == "ERROR"
    assert (run.status.error["type"], run.status.error["message"]) == expected
    assert any("Traceback" in line for line in run.logs())
