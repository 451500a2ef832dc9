"""Pickles that refer to MLflow's names, both ways (format.md 9)."""

from __future__ import annotations

import io
import subprocess
import sys
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import pyfunc
from pyfunc.code.scope import CodeScope
from pyfunc.errors import PyfuncError
from pyfunc.model import pickle_loading, pickle_writing
from pyfunc.model.mlflow_names import MODULES, NAMES, mlflow_name, resolve
from pyfunc.model.mlflow_standin import NeedsMlflowError, stand_in_module
from pyfunc.model.python_model import FunctionModel, PythonModel
from pyfunc.pickles.walking import walk_pickle
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

DATA = Path(__file__).parents[1] / "data"


def dumped(value: object) -> bytes:
    stream = io.BytesIO()
    pickle_writing.dump(value, stream)
    return stream.getvalue()


def scope(*directories: Path) -> CodeScope:
    return CodeScope(directories, stand_in=stand_in_module)


def restored(value: object) -> Any:
    return pickle_loading.load(dumped(value), scope=scope())


def ours_in(data: bytes) -> list[str]:
    report = walk_pickle(data)
    assert report.is_complete
    named = {*report.modules, *report.imported_names}
    return sorted(name for name in named if name.partition(".")[0] == "pyfunc")


def plain_model() -> Any:
    class Plain(pyfunc.PythonModel):
        def __init__(self) -> None:
            self.number = 3

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [self.number, model_input]

        def load_context(self, context: Any) -> None:
            super().load_context(context)

    return Plain()


def hinted_model() -> Any:
    class Hinted(pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[int]:
            return [len(text) for text in model_input]

    return Hinted()


def naming_model() -> Any:
    from pyfunc import PyfuncError, errors, schema
    from pyfunc.schema import infer_signature

    class Naming(pyfunc.PythonModel):
        def predict(self, model_input: Any) -> Any:
            assert issubclass(PyfuncError, Exception)
            assert issubclass(pyfunc.SchemaError, errors.PyfuncError)
            assert pyfunc.schema.ColSpec is schema.ColSpec
            return pyfunc.PythonModel, infer_signature, schema.ColSpec, errors.PyfuncError

    return Naming()


VALUES: dict[str, Callable[[], Any]] = {
    "plain": plain_model,
    "hinted": hinted_model,
    "function": lambda: FunctionModel(lambda model_input: model_input),
    "hinted-function": lambda: FunctionModel(pyfunc.model.hints.pyfunc(hinted_function)),
    "names-of-ours": naming_model,
    "state-with-schemas": lambda: with_state(SCHEMA_VALUES),
    "error-class": lambda: with_state([PyfuncError]),
}


def hinted_function(model_input: list[str]) -> list[str]:
    return model_input


hinted_function.__module__ = "__main__"

SCHEMA_VALUES: list[Any] = [
    DataType.double,
    AnyType(),
    Array(DataType.long),
    Map(DataType.string),
    Object([Property("a", DataType.long), Property("b", DataType.string, required=False)]),
    ColSpec("double", "a", required=False),
    Schema([ColSpec("double", "a"), ColSpec("string", "b")]),
    Schema([TensorSpec(__import__("numpy").dtype("float32"), (-1, 2), "t")]),
    ParamSpec("p", "long", 1),
    ParamSchema([ParamSpec("p", "long", 1)]),
    ModelSignature(
        Schema([ColSpec("double", "a")]), params=ParamSchema([ParamSpec("p", "long", 1)])
    ),
]


def with_state(state: Any) -> Any:
    model = plain_model()
    model.state = state
    return model


@pytest.mark.parametrize("name", VALUES)
def test_nothing_of_ours_is_named_in_a_pickle(name: str) -> None:
    data = dumped(VALUES[name]())
    assert ours_in(data) == []
    assert walk_pickle(data).has_code


@pytest.mark.parametrize("value", SCHEMA_VALUES, ids=lambda value: type(value).__name__)
def test_schema_values_in_the_state_of_a_model_come_back(value: Any) -> None:
    found = restored(with_state(value)).state
    assert type(found) is type(value)
    assert found == value


def test_a_model_comes_back_as_ours() -> None:
    model = restored(plain_model())
    assert PythonModel in type(model).__mro__
    assert model.number == 3
    assert model.predict(None, 5) == [3, 5]
    model.load_context(None)


def test_a_hinted_model_still_checks() -> None:
    model = restored(hinted_model())
    assert model.predict(["abc"]) == [3]
    with pytest.raises(PyfuncError):
        model.predict([1])


def test_names_of_ours_in_code_come_back_as_ours() -> None:
    found = restored(naming_model()).predict(None)
    assert found == (PythonModel, pyfunc.infer_signature, ColSpec, PyfuncError)


def test_a_model_pickled_by_plain_cloudpickle_comes_back_too() -> None:
    data = cloudpickle.dumps(plain_model())
    model = pickle_loading.load(data, scope=scope())
    assert isinstance(model, PythonModel)
    assert model.predict(None, 1) == [3, 1]


READER = """
import sys
assert "mlflow" not in sys.modules
from pyfunc.model import pickle_loading, pickle_writing
from pyfunc.code.scope import CodeScope
from pyfunc.model.mlflow_standin import stand_in_module
data = open(sys.argv[1], "rb").read()
model = pickle_loading.load(data, scope=CodeScope(stand_in=stand_in_module))
print(model.predict(["abc", "d"]))
assert "mlflow" not in sys.modules
"""


def test_reading_needs_no_mlflow(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(dumped(hinted_model()))
    finished = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path / "model.pkl")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "[3, 1]"


def test_one_pickle_loaded_twice_is_one_class_and_two_objects() -> None:
    data = dumped(plain_model())
    first, second = (pickle_loading.load(data, scope=scope()) for _ in range(2))
    assert first is not second
    assert first.predict(None, 1) == second.predict(None, 1)


def test_models_with_code_of_their_own_share_no_class(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    data = dumped(plain_model())
    first = pickle_loading.load(data, scope=scope(tmp_path / "a"))
    second = pickle_loading.load(data, scope=scope(tmp_path / "b"))
    assert type(first) is not type(second)


def test_loading_again_and_again_keeps_nothing() -> None:
    import gc

    data = dumped(plain_model())
    seen = weakref.ref(type(pickle_loading.load(data, scope=scope(DATA))))
    for _ in range(4):  # some versions of Python need more than one pass
        gc.collect()
    assert seen() is None


@pytest.mark.parametrize("release", ["2.14.3", "2.22.0", "3.17.2"])
def test_signatures_that_mlflow_pickled_in_a_state_come_back(release: str) -> None:
    data = (DATA / "pickled_schemas" / f"mlflow-{release}.pkl").read_bytes()
    names = {module for module, _ in walk_pickle(data).globals}
    assert any(name.startswith("mlflow.types") for name in names)
    found = pickle_loading.load(data, scope=scope())
    kinds = {type(value).__module__.partition(".")[0] for value in leaves_of(found)}
    assert "mlflow" not in kinds
    assert "pyfunc" in kinds


def leaves_of(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves_of(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves_of(item)]
    return [value]


# --- the names


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_mlflow_leads_to_something_of_ours(module: str) -> None:
    for name in NAMES[module]:
        assert resolve(module, name) is not None
        assert getattr(stand_in_module(module), name) is resolve(module, name)


def test_every_class_that_lands_in_pickles_has_a_name_of_mlflow() -> None:
    for value in (PythonModel, FunctionModel, pyfunc.PythonModelContext, PyfuncError):
        found = mlflow_name(value)
        assert found is not None
        assert resolve(*found) is value
    for schema_value in SCHEMA_VALUES:
        assert mlflow_name(type(schema_value)) is not None
    assert mlflow_name(CodeScope) is None
    assert mlflow_name(5) is None


def test_modules_of_ours_have_modules_of_mlflow() -> None:
    for ours, theirs in MODULES.items():
        assert isinstance(stand_in_module(theirs), types.ModuleType)
        assert ours.partition(".")[0] == "pyfunc"


# --- the stand-in


def run_in_scope(text: str) -> dict[str, Any]:
    """Run ``text`` as a function of a model does: with the imports of its scope."""
    found: dict[str, Any] = {"__builtins__": scope().builtins}
    exec(text, found)
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import mlflow\nx = mlflow.pyfunc.PythonModel", "PythonModel"),
        ("import mlflow.pyfunc\nx = mlflow.pyfunc.PythonModel", "PythonModel"),
        ("import mlflow.pyfunc as p\nx = p.PythonModel", "PythonModel"),
        ("from mlflow.pyfunc import PythonModel as x", "PythonModel"),
        ("from mlflow.pyfunc.model import PythonModel as x", "PythonModel"),
        ("from mlflow import pyfunc as p\nx = p.PythonModel", "PythonModel"),
        ("from mlflow.models import set_model as x", "set_model"),
        ("import mlflow\nx = mlflow.models.set_model", "set_model"),
        ("from mlflow.types import Schema as x", "Schema"),
        ("from mlflow.types.schema import ColSpec as x", "ColSpec"),
        ("from mlflow.exceptions import MlflowException as x", "PyfuncError"),
        ("from mlflow.pyfunc.model import *\nx = PythonModel", "PythonModel"),
        ("from mlflow.types.schema import *\nx = ColSpec", "ColSpec"),
        (
            "import importlib\nx = importlib.import_module('mlflow.models').ModelConfig",
            "ModelConfig",
        ),
    ],
)
def test_code_of_a_model_finds_our_objects_under_names_of_mlflow(text: str, name: str) -> None:
    found = run_in_scope(text)["x"]
    assert found.__name__ == name
    assert found.__module__.partition(".")[0] == "pyfunc"


def test_the_stand_in_has_a_version() -> None:
    assert run_in_scope("import mlflow\nx = mlflow.__version__")["x"] == "3.17.2"


WITHOUT_MLFLOW = """
import sys
sys.modules["mlflow"] = None
from pyfunc.code.scope import CodeScope
from pyfunc.model.mlflow_standin import stand_in_module
found = {"__builtins__": CodeScope(stand_in=stand_in_module).builtins}
exec(sys.argv[1], found)
print(found["x"])
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import mlflow\nx = hasattr(mlflow, 'start_run')", "False"),
        ("import mlflow.exceptions\nx = hasattr(mlflow.exceptions, 'nonsense')", "False"),
        (
            "import mlflow\ntry:\n    mlflow.start_run\nexcept AttributeError as e:\n    x = e",
            "mlflow.start_run, which needs MLflow",
        ),
        (
            "try:\n    import mlflow.tracking\nexcept ImportError as e:\n    x = e",
            "mlflow.tracking, which needs MLflow",
        ),
        (
            "try:\n    from mlflow.pyfunc import nonsense\nexcept ImportError as e:\n    x = e",
            "mlflow.pyfunc.nonsense, which needs MLflow",
        ),
    ],
    ids=["hasattr", "hasattr-below", "attribute", "module", "name"],
)
def test_what_needs_mlflow_itself_says_so(text: str, expected: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_MLFLOW, text],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    assert expected in finished.stdout


def test_the_stand_in_is_not_put_into_the_modules_of_the_process() -> None:
    kept = sys.modules.get("mlflow")
    run_in_scope("import mlflow.pyfunc\nfrom mlflow.models import ModelConfig\nx = 1")
    assert sys.modules.get("mlflow") is kept


def test_the_error_for_a_missing_part_is_an_import_error_of_ours() -> None:
    assert issubclass(NeedsMlflowError, PyfuncError)
    assert issubclass(NeedsMlflowError, ModuleNotFoundError)


def test_hints_that_are_text_are_pickled_as_what_they_mean(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "from __future__ import annotations\n"
        "import sys\n"
        "import pydantic\n"
        "import pyfunc\n\n\n"
        "class Item(pydantic.BaseModel):\n"
        "    x: int\n\n\n"
        "class Model(pyfunc.PythonModel):\n"
        "    def predict(self, model_input: list[Item]) -> list[int]:\n"
        "        return [item.x for item in model_input]\n\n\n"
        "pyfunc.save_model(sys.argv[1], python_model=Model(), pip_requirements=['pydantic'])\n"
    )
    path = tmp_path / "model"
    subprocess.run([sys.executable, str(script), str(path)], check=True)
    model = pyfunc.load_model(path)
    assert model.predict([{"x": 3}]) == [3]
    with pytest.raises(pyfunc.SchemaError):
        model.predict([{"x": "three"}])
