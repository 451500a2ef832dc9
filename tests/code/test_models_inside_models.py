"""Saved models that hold loaded models: complete without the directories of those."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc

SaveShipped = Callable[..., Path]
RunProgram = Callable[..., Any]

ENTRY = """
    import shown

    class Model:
        def predict(self, data):
            import late
            return [shown.NAME, late.NAME, shown.Out(1).name]

    def _load_pyfunc(path):
        return Model()
"""
SHOWN = """
    import dataclasses

    NAME = "NAME"

    @dataclasses.dataclass
    class Out:
        value: int
        name: str = NAME
"""
SAVE = """
    import json, shutil, sys
    from pathlib import Path
    import pyfunc

    class Python(pyfunc.PythonModel):
        def load_context(self, context):
            import shown
            self.made = shown.Out(2)

        def predict(self, model_input):
            import late, shown
            return [late.NAME, self.made.name, type(self.made) is shown.Out]

    class Together(pyfunc.PythonModel):
        def __init__(self, models):
            self.models = models

        def predict(self, model_input):
            return [model.predict(None) for model in self.models]

    folder = Path(sys.argv[1])
    paths = [Path(path) for path in sys.argv[2:]]
    models = []
    for path in paths:
        code = [str(file) for file in (path / "code").iterdir()]
        script = path.parent / "script.py"
        script.write_text(
            "import pyfunc\\nLIMIT = 4\\nclass Scripted(pyfunc.PythonModel):\\n"
            "    def predict(self, model_input):\\n        import late\\n"
            "        return [late.NAME, LIMIT]\\npyfunc.set_model(Scripted())\\n"
        )
        for number, python_model in enumerate([Python(), str(script)]):
            target = path.with_name(f"{path.name}-{number}")
            pyfunc.save_model(
                target, python_model=python_model, code_paths=code, pip_requirements=[]
            )
            models.append(pyfunc.load_model(target, suppress_warnings=True))
        models.append(pyfunc.load_model(path, suppress_warnings=True))
    together = Together(models)
    found = together.predict(None)
    pyfunc.save_model(folder, python_model=together, pip_requirements=[])
    for path in paths:
        shutil.rmtree(path)
        for number in range(2):
            shutil.move(f"{path}-{number}", f"{path}-{number}-elsewhere")
    print(json.dumps(found))
"""
READ = """
    import json, sys
    import pyfunc
    first = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
    second = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
    found = [first.predict(None)]
    first.close()
    found.append(second.predict(None))
    pyfunc.save_model(
        sys.argv[2], python_model=second.unwrap_python_model(), pip_requirements=[]
    )
    second.close()
    found.append(pyfunc.load_model(sys.argv[2], suppress_warnings=True).predict(None))
    print(json.dumps(found))
"""


def shipped(name: str) -> dict[str, str]:
    return {
        "entry.py": ENTRY,
        "shown.py": SHOWN.replace('"NAME"', repr(name)),
        "late.py": f"NAME = {name!r}\n",
    }


def test_models_with_conflicting_code_are_saved_whole(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    paths = [save_shipped(shipped(name)) for name in "AB"]
    expected = [
        part for name in "AB" for part in ([name, name, True], [name, 4], [name, name, name])
    ]
    both = tmp_path / "both"
    assert run_program(SAVE, both, *paths) == expected
    for path in tmp_path.glob("source-*"):
        shutil.rmtree(path)
    assert run_program(READ, both, tmp_path / "again") == [expected] * 3
    shutil.copytree(both, tmp_path / "moved")
    shutil.rmtree(both)
    assert run_program(READ, tmp_path / "moved", tmp_path / "again-2") == [expected] * 3
    pyfunc.verify(tmp_path / "moved")


MLFLOW = """
    import json, sys
    import mlflow.pyfunc
    print(json.dumps(mlflow.pyfunc.load_model(sys.argv[1]).predict([1])))
"""


@pytest.mark.interop
def test_mlflow_loads_such_a_model_where_nothing_conflicts(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    expected = run_program(SAVE, both, save_shipped(shipped("A")))
    assert run_program(MLFLOW, both) == expected


class Holds(pyfunc.PythonModel):
    def __init__(self, held: object) -> None:
        self.held = held

    def predict(self, model_input: Any) -> Any:
        return self.held


def test_an_object_of_a_model_takes_its_code_along(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    model = pyfunc.load_model(save_shipped(shipped("A")), suppress_warnings=True)
    pyfunc.save_model(
        tmp_path / "new", python_model=model._model_impl.predict, pip_requirements=[]
    )
    model.close()
    read = "import json, sys, pyfunc\nmodel = pyfunc.load_model(sys.argv[1])\n"
    read += "print(json.dumps(model.predict(None)))\n"
    assert run_program(read, tmp_path / "new") == ["A", "A", "A"]


def test_another_file_in_the_place_of_one_is_refused(
    save_shipped: SaveShipped, tmp_path: Path
) -> None:
    # No other test has a module of that name, which would make that of this model a private one.
    files = {**shipped("A"), "only_here.py": "NAME = 'A'\n"}
    model = pyfunc.load_model(save_shipped(files), suppress_warnings=True)
    (tmp_path / "only_here.py").write_text("NAME = 'mine'\n")
    with pytest.raises(pyfunc.InvalidArgumentError, match=r"only_here\.py is another file"):
        pyfunc.save_model(
            tmp_path / "new",
            python_model=Holds(model),
            code_paths=[str(tmp_path / "only_here.py"), __file__],
            pip_requirements=[],
        )
    assert not (tmp_path / "new").exists()
    model.close()


def test_code_that_is_gone_is_said(save_shipped: SaveShipped, tmp_path: Path) -> None:
    path = save_shipped(shipped("A"))
    model = pyfunc.load_model(path, suppress_warnings=True)
    shutil.rmtree(path)
    with pytest.raises(pyfunc.ModelNotFoundError, match="code of a loaded model"):
        pyfunc.save_model(
            tmp_path / "new",
            python_model=Holds(model),
            code_paths=[__file__],
            pip_requirements=[],
        )
    model.close()


def test_artifacts_that_are_left_behind_are_said(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("words")
    pyfunc.save_model(
        tmp_path / "one",
        python_model=Holds(1),
        artifacts={"words": str(tmp_path / "words.txt")},
        code_paths=[__file__],
        pip_requirements=[],
    )
    model = pyfunc.load_model(tmp_path / "one", suppress_warnings=True)
    with pytest.warns(pyfunc.PyfuncWarning, match="pickled without them"):
        pyfunc.save_model(
            tmp_path / "new",
            python_model=Holds(model),
            code_paths=[__file__],
            pip_requirements=[],
        )
    model.close()
