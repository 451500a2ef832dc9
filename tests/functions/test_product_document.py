"""The examples of the product document on jobs, run as they stand.

Corrected slips of it: ``events`` is ``event``, ``log_artifact(source_path=)`` is ``source=``,
``loacal_execution`` is ``local_execution``, the handler is imported from ``pyfunc.functions``, and
``return pd.DataFrame`` returns a frame rather than the class.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import pyfunc.functions as sdk
from pyfunc.errors import RunError

DEFINITIONS = """
import pandas as pd
from pyfunc.functions import Dataitem, handler

# 1. Simple function that returns a string
def func1():
    return "hello world"

# 2. Decorated function that returns a string
@handler(outputs=["result"])
def func2():
    return "hello world"

# 3. Function with project argument
def func3(project):
    project.log_artifact(name="example",
                         kind="artifact",
                         source="FILE")

def func3_wrong(project):
    project.some_method_not_from_sdk()

# 4. Function with context and event arguments
def func4(context, event):
    context.logger.info("Some log")

# 5. Function with mixed input arguments
def func5(di: Dataitem, param1: str):
    return len(di.as_df()), param1

# 6. Init function for remote execution
def init(context, param1, param2):
    context.total = param1 + param2

@handler(outputs=["data", "string"])
def func(di: Dataitem, param1: str):
    return pd.DataFrame({"a": [1, 2]}), "some value"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The document names main.py and leaves the store where it is by default.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYFUNC_FUNCTIONS_ROOT", raising=False)
    tmp_path.joinpath("file").write_text("content")
    tmp_path.joinpath("main.py").write_text(DEFINITIONS.replace("FILE", str(tmp_path / "file")))
    return tmp_path


@pytest.fixture
def project(here: Path) -> sdk.Project:
    return sdk.get_or_create_project("my-project")


def define(project: sdk.Project, handler: str) -> sdk.Function:
    return project.new_function(
        name="python-function",
        kind="python",
        code_src="main.py",
        handler=handler,
        init_function="init",
        python_version="PYTHON3_11",
    )


def test_a_simple_function(project: sdk.Project) -> None:
    assert define(project, "func1").run("job", env="local").results() == {
        "output_0": "hello world"
    }


def test_a_decorated_function(project: sdk.Project) -> None:
    assert define(project, "func2").run("job", env="local").result("result") == "hello world"


def test_a_function_with_the_project(project: sdk.Project) -> None:
    define(project, "func3").run("job", env="local")
    assert project.get_artifact("example").as_file().read_text() == "content"
    with pytest.raises(RunError, match="some_method_not_from_sdk"):
        define(project, "func3_wrong").run("job", env="local")


def test_context_and_event_are_for_served_functions(project: sdk.Project) -> None:
    with pytest.raises(RunError, match=r"context: .*\n.*event: "):
        define(project, "func4").run("job", env="local")


def test_inputs_and_parameters(project: sdk.Project) -> None:
    dataitem = project.log_dataitem("rows", data=pd.DataFrame({"a": [1, 2, 3]}))
    run = define(project, "func5").run(
        action="job",
        local_execution=True,
        inputs={"di": dataitem.key},
        parameters={"param1": "some value"},
        init_parameters={"param1": 1, "param2": 2},
        env="local",
    )
    assert list(run.results().values()) == [3, "some value"]


def test_outputs_and_results(project: sdk.Project) -> None:
    dataitem = project.log_dataitem("rows", data=pd.DataFrame({"a": [1]}))
    run = define(project, "func").run(
        inputs={"di": dataitem.key}, parameters={"param1": "some value"}, env="local"
    )
    data = run.output("data")
    assert isinstance(data, sdk.Dataitem)
    assert data.as_df()["a"].tolist() == [1, 2]
    assert run.result("string") == "some value"
    run.refresh()
    assert run.status.state == "COMPLETED"
    assert run.status.service is None


def test_from_the_sdk(project: sdk.Project, here: Path) -> None:
    function = sdk.new_function(
        project="my-project",
        name="python-function",
        kind="python",
        code_src="main.py",
        handler="func1",
        python_version="PYTHON3_9",
        requirements=["numpy", "pandas>1, <4"],
    )
    assert function == project.get_function("python-function")
    assert here.joinpath(".pyfunc-functions", "my-project", "entity.json").is_file()
