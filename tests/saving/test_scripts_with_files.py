"""Scripts that look beside themselves, and models that change while they are tried at save."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import pyfunc

SCRIPT = """
import sys
from os.path import dirname
from pathlib import Path
sys.path.insert(0, dirname(__file__))
{library}
import beside_the_script
text = Path(__file__).parent.joinpath("prompt.txt")
prompt = text.read_text() if text.is_file() else "none"

class Model({base}):
    def predict(self, context, model_input, params=None):
        return [prompt, beside_the_script.NAME]

{set_model}(Model())
"""
OURS = {"library": "import pyfunc", "base": "pyfunc.PythonModel", "set_model": "pyfunc.set_model"}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import sys

    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds its folder
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "prompt.txt").write_text("hello")
    (folder / "beside_the_script.py").write_text("NAME = 'beside'\n")
    (folder / "script.py").write_text(SCRIPT.format(**OURS))
    return folder / "script.py"


def test_a_script_finds_what_is_beside_it_and_the_rest_is_said(
    script: Path, tmp_path: Path
) -> None:
    with pytest.warns(pyfunc.PyfuncWarning, match="reads files beside itself") as caught:
        pyfunc.save_model(tmp_path / "model", python_model=script, pip_requirements=[])
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "beside_the_script.py, prompt.txt" in text
    assert "code_paths=" in text
    assert "artifacts=" in text


def test_what_the_model_contains_is_not_said(script: Path, tmp_path: Path) -> None:
    kept = [str(script.parent / name) for name in ("prompt.txt", "beside_the_script.py")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyfunc.save_model(
            tmp_path / "model", python_model=script, code_paths=kept, pip_requirements=[]
        )
    (script.parent / "beside_the_script.py").unlink()
    model = pyfunc.load_model(tmp_path / "model", suppress_warnings=True)
    assert model.predict(None) == ["none", "beside"]


def test_an_error_of_a_script_names_the_file_of_the_user(script: Path, tmp_path: Path) -> None:
    script.write_text("1 / 0\n")
    with pytest.raises(pyfunc.ModelIncompleteError) as caught:
        pyfunc.save_model(tmp_path / "model", python_model=script, pip_requirements=[])
    assert str(script) in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    trace = caught.value.__cause__.__traceback__
    files = set()
    while trace is not None:
        files.add(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    assert str(script) in files


@pytest.mark.parametrize(
    "used", ["x = dbutils.widgets.get('x')", "import dbutils as d; d.fs.ls('/')"]
)
def test_a_script_finds_dbutils_at_save_and_at_load(tmp_path: Path, used: str) -> None:
    text = (
        f"import pyfunc\nvalue = {used}\n" if "import" not in used else f"import pyfunc\n{used}\n"
    )
    (tmp_path / "script.py").write_text(f"{text}pyfunc.set_model(lambda model_input: 1)\n")
    pyfunc.save_model(tmp_path / "model", python_model=tmp_path / "script.py", pip_requirements=[])
    assert pyfunc.load_model(tmp_path / "model", suppress_warnings=True).predict(None) == 1


class Fills(pyfunc.PythonModel):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.table: dict[str, Any] = {"deep": [[]]}

    def load_context(self, context: Any) -> None:
        self.names.append("filled")
        self.table["deep"][0].append(1)

    def predict(self, context: Any, model_input: Any) -> Any:
        return len(self.names)


def test_what_load_context_fills_at_save_stays_in_the_copy(tmp_path: Path) -> None:
    model = Fills()
    pyfunc.save_model(
        tmp_path / "model", python_model=model, input_example=[1], pip_requirements=[]
    )
    assert (model.names, model.table) == ([], {"deep": [[]]})
    assert pyfunc.load_model(tmp_path / "model", suppress_warnings=True).predict([1]) == 1


class Uncopied:
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("no copies")


def test_an_attribute_that_cannot_be_copied_keeps_the_others_apart(tmp_path: Path) -> None:
    model = Fills()
    model.uncopied = Uncopied()  # type: ignore[attr-defined]
    pyfunc.save_model(
        tmp_path / "model", python_model=model, input_example=[1], pip_requirements=[]
    )
    assert (model.names, model.table) == ([], {"deep": [[]]})
