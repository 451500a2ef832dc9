"""``pyfunc run`` and ``pyfunc functions``."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

import pyfunc
from tests.functions.conftest import HERE

SOURCE = '''
import enum
import pandas as pd
from pathlib import Path
from typing import List, Literal, Optional, Sequence, Set, Tuple, Union
from pyfunc.functions import Dataitem, Model, handler

@handler(outputs=["rows", "total"])
def add(a: int, di: Dataitem, factor: float = 1, name: str = "x", flags=None):
    """Add a to every cell."""
    print("in the function")
    frame = di.as_df() + a
    return frame, float(frame.to_numpy().sum() * factor)

def echo(value, text: str = "", truth: bool = False):
    return repr((value, text, truth))

def kinds(model: Model, either: "pd.DataFrame | Path", path: Union[str, Path]):
    return " ".join(type(value).__name__ for value in (model, either, path))

def count(path: Path, frame: "pd.DataFrame"):
    return len(path.read_text()) + len(frame)

def fail():
    raise ValueError("no")

def typed(xs: List[int] = (), name: Optional[str] = None, kind: Literal["a", "b"] = "a",
          truth: bool = True, ratio: Union[int, float] = 1, other: "Nowhere" = None):
    return repr((xs, name, kind, truth, ratio, other))

def any_of(first, **more):
    return repr((first, more))

class Shade(enum.Enum):
    RED = "r"
    BLUE = 2

def lists(xs: List[int], texts: Optional[List[str]] = None, pairs: Sequence[List[int]] = (),
          ratios: Tuple[float, ...] = (), two: Tuple[int, int] = (1, 2), shades: Set[Shade] = (),
          any_of: list = (), sure: Optional[bool] = None):
    return repr((xs, texts, pairs, ratios, two, shades, any_of, sure))

def größe(höhe: Path, farbe: Shade):
    return höhe.name + repr(farbe)

def own(timeout: int = 3, json=None, help=""):
    """Has options of the command."""
    return timeout, help

def numbers():
    return float("nan"), b"x", 2**70
'''


class Constant(pyfunc.PythonModel):
    """Answers 1."""

    def predict(self, context: Any, model_input: Any) -> int:
        return 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.joinpath("file.py").write_text(SOURCE)
    tmp_path.joinpath("data.csv").write_text("a,b\n1,2\n")
    return tmp_path


def call(folder: Path, *words: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pyfunc", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout, done.stderr


def call_json(folder: Path, *words: str) -> Any:
    return json.loads(call(folder, *words, "--json")[0])


def test_a_function_is_run_with_options_from_its_signature(folder: Path) -> None:
    out, err = call(folder, "run", "file.py:add", "--a", "1", "--di", "data.csv", "--factor=2")
    head, total, rows = out.splitlines()
    assert head.endswith(" COMPLETED")
    assert total == "total\t10.0"
    assert Path(rows.partition("\t")[2]).is_file()
    assert "in the function" in err
    [run] = call_json(folder, "functions", "runs", "-p", "default")["runs"]
    assert run["spec"]["parameters"] == {"a": 1, "factor": 2.0}
    again = call_json(
        folder, "run", "file.py:add", "--a", "1", "--di", run["spec"]["inputs"]["di"], "--cache"
    )
    assert again["results"] == {"total": 5.0}
    assert Path(again["outputs"]["rows"]["path"]).is_file()
    assert len(call_json(folder, "functions", "list")["functions"]) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["--value", "1"], "(1, '', False)", id="number"),
        pytest.param(["--value", "[1, {}]"], "([1, {}], '', False)", id="json"),
        pytest.param(["--value", "abc"], "('abc', '', False)", id="text"),
        pytest.param(["--value", "1", "--text", "2"], "(1, '2', False)", id="annotated-text"),
        pytest.param(["--value=-1", "--truth", "True"], "(-1, '', True)", id="truth"),
    ],
)
def test_values_are_read_as_annotated(folder: Path, words: list[str], expected: str) -> None:
    assert call_json(folder, "run", "file.py:echo", *words)["results"] == {"output_0": expected}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["--xs=[1]", "--name", "5"], "([1], '5', 'a', True, 1, None)", id="optional"),
        pytest.param(["--name", "null"], "((), None, 'a', True, 1, None)", id="null"),
        pytest.param(["--kind=b", "--ratio=0.5"], "((), None, 'b', True, 0.5, None)", id="one-of"),
        pytest.param(["--no-truth", "--other", "x"], "((), None, 'a', False, 1, 'x')", id="false"),
        pytest.param(["--truth", "--name", "--x"], "((), '--x', 'a', True, 1, None)", id="flag"),
        pytest.param(["--name=q", "--truth"], "((), 'q', 'a', True, 1, None)", id="last-flag"),
    ],
)  # fmt: skip
def test_values_fit_every_form_of_annotation(
    folder: Path, words: list[str], expected: str
) -> None:
    assert call_json(folder, "run", "file.py:typed", *words)["results"] == {"output_0": expected}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["--xs", "1", "--xs=2"], "[1, 2], None, (), ()", id="each"),
        pytest.param(["--xs", "1"], "[1], None, (), ()", id="one"),
        pytest.param(["--xs", "[1, 2]", "--texts", "[]"], "[1, 2], [], (), ()", id="whole"),
        pytest.param(["--xs=1", "--texts=a", "--texts=2"], "[1], ['a', '2'], (), ()", id="texts"),
        pytest.param(["--xs=1", "--texts", "a"], "[1], ['a'], (), ()", id="one-text"),
        pytest.param(["--xs=1", "--pairs=[1]", "--pairs=[2, 3]"],
                     "[1], None, [[1], [2, 3]], ()", id="lists"),
        pytest.param(["--xs=1", "--ratios=1", "--ratios=0.5"],
                     "[1], None, (), [1.0, 0.5]", id="tuple"),
        pytest.param(["--xs=1", "--two", "[3, 4]", "--shades", "r", "--shades", "2"],
                     "[1], None, (), (), [3, 4], ['r', 2]", id="fixed-and-chosen"),
        pytest.param(["--xs=1", "--any-of", "1", "--any-of", "x", "--sure"],
                     "[1], None, (), (), (1, 2), (), [1, 'x'], True", id="untyped-and-flag"),
    ],
)  # fmt: skip
def test_a_list_is_given_as_a_whole_or_by_elements(
    folder: Path, words: list[str], expected: str
) -> None:
    found = call_json(folder, "run", "file.py:lists", *words)["results"]["output_0"]
    assert found.startswith(f"({expected}")


def test_all_that_is_wrong_with_the_options_is_told_at_once(folder: Path) -> None:
    words = ["--höhe=data.csv", "--farbe=red", "--nope=1"]
    _, err = call(folder, "run", "file.py:größe", *words, code=2)
    assert "2 problem(s)" in err
    assert "no option --nope; the function has: --höhe, --farbe" in err
    assert "--farbe: expected one of 'r', 2, got 'red'" in err
    _, err = call(folder, "run", "file.py:lists", "--two=1", "--two=2", code=2)
    assert "--xs: expected a value" in err
    assert "--two: expected Tuple[int, int], got '2'" in err
    assert call_json(folder, "functions", "runs")["runs"] == []
    assert not Path(folder, ".pyfunc-functions", "default", "artifacts").exists()


def test_names_of_any_script_run(folder: Path) -> None:
    words = ["--höhe=data.csv", "--farbe=r"]
    for _ in range(2):
        found = call_json(folder, "run", "file.py:größe", *words)
        assert found["results"] == {"output_0": "data.csv'r'"}
    [function] = call_json(folder, "functions", "list")["functions"]
    assert (function["name"], function["spec"]["source"]["handler"]) == ("gr--e", "größe")


def test_a_function_that_takes_any_name_gets_any_option(folder: Path) -> None:
    found = call_json(folder, "run", "file.py:any_of", "--first", "1", "--one-more", "2")
    assert found["results"] == {"output_0": "(1, {'one_more': 2})"}
    assert "and any other" in call(folder, "run", "file.py:any_of", "--options")[0]


def test_options_of_the_command_and_of_the_function_do_not_mix(folder: Path) -> None:
    _, err = call(folder, "run", "file.py:own", "--timeout", "5", code=2)
    assert "file.py" not in err
    assert "FILE:FUNCTION -- --timeout" in err
    words = ["run", "--timeout", "60", "--json", "file.py:own", "--", "--timeout", "7"]
    done = json.loads(call(folder, *words, "--help", "me")[0])
    assert done["results"] == {"output_0": 7, "output_1": "me"}


def test_results_that_json_has_not_are_written_as_in_documents(folder: Path) -> None:
    done = call_json(folder, "run", "file.py:numbers")
    assert done["results"] == {
        "output_0": {"$float": "nan"},
        "output_1": {"$bytes": "eA=="},
        "output_2": 2**70,
    }
    [run] = call_json(folder, "functions", "runs", "-p", "default")["runs"]
    assert run["status"]["results"] == done["results"]


def test_help_behind_a_function_is_about_it(folder: Path) -> None:
    assert call(folder, "run", "file.py:own", "--help")[0].startswith("Has options of the command")
    assert "FILE:FUNCTION" in call(folder, "run", "--help")[0]


def test_files_are_logged_for_parameters_that_take_them(folder: Path) -> None:
    words = ["--path", "data.csv", "--frame", "data.csv"]
    assert call_json(folder, "run", "file.py:count", *words)["results"] == {"output_0": 9}


def test_a_file_is_what_the_first_type_of_its_parameter_can_be(folder: Path) -> None:
    model = folder / "model"
    pyfunc.save_model(model, python_model=Constant(), pip_requirements=[])
    words = ["--model", "model", "--either", "data.csv", "--path", "data.csv"]
    done = call_json(folder, "run", "file.py:kinds", *words)
    assert done["results"] == {"output_0": "Model DataFrame PosixPath"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        pytest.param(["file.py:echo", "--valu", "1"], 2, "has: --value, --text", id="unknown"),
        pytest.param(["file.py:echo", "--value"], 2, "expected a value", id="no-value"),
        pytest.param(["file.py:echo", "value"], 2, "expected --name value", id="no-option"),
        pytest.param(["file.py:echo", "--value=1", "--truth=2"], 2, "expected bool", id="type"),
        pytest.param(["file.py:typed", '--xs=["a"]'], 2, "expected List[int]", id="element"),
        pytest.param(["file.py:typed", "--kind", "c"], 2, "expected Literal", id="literal"),
        pytest.param(["none.py:echo"], 2, "file that is there", id="no-file"),
        pytest.param(["file.py"], 2, "FILE:FUNCTION", id="no-function"),
        pytest.param(["file.py:none"], 2, "'none' is not there", id="no-such-function"),
        pytest.param(["file.py:add", "--a=1", "--di=none.csv"], 3, "does not exist", id="data"),
        pytest.param(["file.py:fail"], 6, "ValueError: no", id="fails"),
        pytest.param(["file.py:echo"], 2, "--value: expected a value", id="missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_an_exit_code(
    folder: Path, words: list[str], code: int, message: str
) -> None:
    assert message in call(folder, "run", *words, code=code)[1]


def test_the_options_of_a_function_are_shown(folder: Path) -> None:
    out, _ = call(folder, "run", "file.py:add", "--options")
    assert out.startswith("Add a to every cell.\n")
    assert "--a  int  [required]" in out
    assert "--di  a key or a path  [required]" in out
    assert "--factor  float  [default: 1]" in out


def test_what_is_in_the_store_is_shown(folder: Path) -> None:
    call(folder, "run", "file.py:fail", code=6)
    [run] = call_json(folder, "functions", "runs")["runs"]
    out, _ = call(folder, "functions", "runs")
    assert out == f"{run['id']}\tERROR\t{run['spec']['function'][9:]}\tValueError: no\n"
    assert json.loads(call(folder, "functions", "show", run["key"])[0]) == run
    assert call_json(folder, "functions", "show", "store://default")["kind"] == "project"
    assert "in fail" in call(folder, "functions", "logs", run["id"], "-f")[0]
    assert call_json(folder, "functions", "logs", run["id"])["lines"]
    assert call(folder, "functions", "stop", run["id"])[0] == "ERROR\n"
    # A key names its project.
    assert "in fail" in call(folder, "functions", "logs", run["key"], "-p", "other")[0]
    assert call(folder, "functions", "stop", run["key"], "-p", "other")[0] == "ERROR\n"
    assert "invalid key" in call(folder, "functions", "logs", "store://a/run", code=2)[1]
    assert call(folder, "functions", "list")[0].startswith("fail\tfail\tstore://default/function")
    assert call(folder, "functions", "gc")[0] == ""
    left = folder / ".pyfunc-functions" / "default" / "dataitems" / "d" / ("0" * 32)
    left.mkdir(parents=True)
    assert call(folder, "functions", "gc") == (
        f"{left}\n",
        "nothing was removed; --remove does it\n",
    )
    assert call_json(folder, "functions", "gc") == {"found": [str(left)]}
    assert call_json(folder, "functions", "gc", "--remove") == {"removed": [str(left)]}
    assert not left.exists()
    assert "no project" in call(folder, "functions", "list", "-p", "none", code=3)[1]
    gone = "there is no run none in store://default"
    assert gone in call(folder, "functions", "logs", "none", code=3)[1]


SERVED = '''
import sys
from pyfunc.functions import get_or_create_project
project = get_or_create_project("demo", root=sys.argv[1])
code = """
def f(context, event):
    context.logger.info("asked for %s", event.path)
    return "ok"
"""
function = project.new_function("f", code=code, handler="f", python_version=sys.argv[2])
run = function.run("serve", workers=2)
print(run.id, run.status.service["url"], flush=True)
sys.stdin.read()
'''


def test_a_service_is_followed_and_stopped_from_elsewhere(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with subprocess.Popen(
        [sys.executable, "-c", SERVED, store, HERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        run, url = starter.stdout.readline().split()
        where = ("-p", "demo", "--root", store)
        command = [sys.executable, "-m", "pyfunc", "functions", "logs", run, "-f", *where]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            assert urllib.request.urlopen(f"http://{url}/here", timeout=60).read() == b"ok"
            while "asked for /here" not in following.stdout.readline():
                assert following.poll() is None
            assert call(tmp_path, "functions", "stop", run, *where)[0] == "STOPPED\n"
            following.stdout.read()  # until its end: the run has ended
            assert following.wait(60) == 0
        with pytest.raises(URLError):
            urllib.request.urlopen(f"http://{url}/", timeout=60)
        [found] = call_json(tmp_path, "functions", "runs", *where)["runs"]
        assert found["status"]["state"] == "STOPPED"
        assert call(tmp_path, "functions", "stop", run, *where)[0] == "STOPPED\n"
        starter.communicate()
        assert starter.returncode == 0
