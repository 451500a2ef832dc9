"""Code that models ship is imported in a name space of its own (DESIGN 4, reliability 4.6)."""

from __future__ import annotations

import gc
import importlib
import io
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest

import pyfunc
from pyfunc.code import aliases as code_aliases
from pyfunc.code.scope import CodeScope, current_scope
from pyfunc.errors import ModelIncompleteError

pytestmark = pytest.mark.usefixtures("unchanged_imports")

Files = Mapping[str, str | bytes]
MakeShipped = Callable[..., Path]
WriteFiles = Callable[[Path, Files], None]
ListTree = Callable[[Path], dict[str, tuple[int, int]]]


@pytest.fixture
def shipped(hand_made: Callable[..., Path]) -> MakeShipped:
    """Return a function that makes a model whose loader and helpers are all in ``code``."""

    def make(files: Files, **section: Any) -> Path:
        code = {f"code/{name}": content for name, content in files.items()}
        outside = {name: code.pop(f"code/{name}") for name in files if name.startswith("../")}
        return hand_made(
            {"loader_module": "entry", "code": "code", **section},
            {**code, **{name.removeprefix("../"): text for name, text in outside.items()}},
        )

    return make


ENTRY = """
    import helper

    class Model:
        def predict(self, data):
            return helper.answer(data)

    def _load_pyfunc(path):
        return Model()
"""


def helper_of(name: str) -> str:
    return f"def answer(data):\n    return {name!r} + str(data)\n"


def load(path: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True)


def test_c1_each_of_two_models_gets_its_own_module(shipped: MakeShipped) -> None:
    first = load(shipped({"entry.py": ENTRY, "helper.py": helper_of("A")}))
    second = load(shipped({"entry.py": ENTRY, "helper.py": helper_of("B")}))
    assert [first.predict(1), second.predict(2), first.predict(3)] == ["A1", "B2", "A3"]


def test_c1_a_model_can_be_loaded_again_after_another(shipped: MakeShipped) -> None:
    paths = [shipped({"entry.py": ENTRY, "helper.py": helper_of(name)}) for name in "AB"]
    found = [load(paths[number]).predict("") for number in (0, 1, 0, 1)]
    assert found == ["A", "B", "A", "B"]


def test_c2_loads_in_threads_do_not_mix(shipped: MakeShipped) -> None:
    slow = "import time\ntime.sleep(0.001)\n"
    paths = {
        name: shipped({"entry.py": ENTRY, "helper.py": slow + helper_of(name)})
        for name in "ABCDEFGH"
    }
    gate = threading.Barrier(len(paths))

    def work(name: str) -> list[str]:
        gate.wait(30)
        return [load(paths[name]).predict("") for _ in range(20)]

    with ThreadPoolExecutor(len(paths)) as pool:
        found = dict(zip(paths, pool.map(work, paths), strict=True))
    assert found == {name: [name] * 20 for name in paths}


def test_predictions_in_threads_import_their_own_module_late(shipped: MakeShipped) -> None:
    entry = """
        class Model:
            def predict(self, data):
                import time
                time.sleep(0.001)
                from helper import answer
                return answer(data)

        def _load_pyfunc(path):
            return Model()
    """
    models = [load(shipped({"entry.py": entry, "helper.py": helper_of(n)})) for n in "AB"]

    def work(number: int) -> str:
        found: str = models[number % 2].predict("")
        return found

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(80)))
    assert found == ["A", "B"] * 40


LATE_IMPORTS = [
    pytest.param("import helper\nreturn helper.answer(data)", id="import"),
    pytest.param("import helper as h\nreturn h.answer(data)", id="import-as"),
    pytest.param("from helper import answer\nreturn answer(data)", id="from"),
    pytest.param("import package.deep.leaf\nreturn package.deep.leaf.answer(data)", id="dotted"),
    pytest.param("import package.deep.leaf as x\nreturn x.answer(data)", id="dotted-as"),
    pytest.param("from package.deep import leaf\nreturn leaf.answer(data)", id="from-package"),
    pytest.param("from package import deep\nreturn deep.leaf.answer(data)", id="from-top"),
    pytest.param("import folder.plain\nreturn folder.plain.answer(data)", id="namespace-folder"),
    pytest.param("from folder import plain\nreturn plain.answer(data)", id="from-namespace"),
    pytest.param(
        "import importlib\nreturn importlib.import_module('helper').answer(data)", id="importlib"
    ),
    pytest.param(
        "from importlib import import_module\nreturn import_module('helper').answer(data)",
        id="from-importlib",
    ),
    pytest.param(
        "import importlib\nreturn importlib.import_module('.leaf', 'package.deep').answer(data)",
        id="importlib-relative",
    ),
    pytest.param(
        "import importlib.util\n"
        "assert importlib.util.find_spec('json') is not None\n"
        "return importlib.import_module('package.deep.leaf').answer(data)",
        id="importlib-dotted",
    ),
    pytest.param("return __import__('helper').answer(data)", id="dunder-import"),
    pytest.param(
        "import threading\nfound = []\n"
        "def work():\n    import helper\n    found.append(helper.answer(data))\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
        "return found[0]",
        id="in-a-thread-of-the-model",
    ),
    pytest.param(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import importlib\n"
        "with ThreadPoolExecutor(1) as pool:\n"
        "    return pool.submit(importlib.import_module, 'helper').result().answer(data)",
        id="importlib-in-a-pool",
    ),
    pytest.param(
        "scope = {}\nexec('import helper', {'__builtins__': __builtins__}, scope)\n"
        "return scope['helper'].answer(data)",
        id="exec-with-own-builtins",
    ),
]


def body(text: str) -> str:
    return textwrap.indent(text, " " * 8)


@pytest.mark.parametrize("statements", LATE_IMPORTS)
def test_a_late_import_in_predict_finds_the_model_s_own_module(
    shipped: MakeShipped, statements: str
) -> None:
    entry = (
        f"class Model:\n    def predict(self, data):\n{body(statements)}\n"
        "def _load_pyfunc(path):\n    return Model()\n"
    )
    models = []
    for name in "AB":
        files = {
            "entry.py": entry,
            "helper.py": helper_of(name),
            "package/__init__.py": "from . import deep\n__all__ = ['deep']\n",
            "package/deep/__init__.py": "from . import leaf\n",
            "package/deep/leaf.py": "from helper import answer\n",
            "folder/plain.py": "from helper import answer\n",
        }
        models.append(load(shipped(files)))
    assert [model.predict("") for model in (*models, models[0])] == ["A", "B", "A"]


def test_star_imports_at_module_level(shipped: MakeShipped) -> None:
    entry = ENTRY.replace("import helper", "from package import *")
    model = load(
        shipped(
            {
                "entry.py": entry,
                "package/__init__.py": "from . import helper\n__all__ = ['helper']\n",
                "package/helper.py": helper_of("A"),
            }
        )
    )
    assert model.predict("") == "A"


def test_relative_imports_reach_up_and_sideways(shipped: MakeShipped) -> None:
    model = load(
        shipped(
            {
                "entry.py": ENTRY.replace("import helper", "from package.inner import helper"),
                "package/__init__.py": "VALUE = 'top'\n",
                "package/side.py": "VALUE = 'side'\n",
                "package/inner/__init__.py": "",
                "package/inner/helper.py": """
                    from .. import VALUE
                    from ..side import VALUE as SIDE
                    from . import other

                    def answer(data):
                        from .other import VALUE as LATE
                        return [VALUE, SIDE, other.VALUE, LATE]
                """,
                "package/inner/other.py": "VALUE = 'other'\n",
            }
        )
    )
    assert model.predict(None) == ["top", "side", "other", "other"]


def test_modules_that_import_each_other(shipped: MakeShipped) -> None:
    model = load(
        shipped(
            {
                "entry.py": ENTRY,
                "helper.py": "import second\ndef answer(data):\n    return second.name() + data\n",
                "second.py": "import helper\ndef name():\n    return helper.__name__[-6:]\n",
            }
        )
    )
    assert model.predict("!") == "helper!"


def test_a_module_of_the_application_stays_what_it_was(
    shipped: MakeShipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = types.ModuleType("helper")
    own.answer = lambda data: f"application {data}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "helper", own)
    model = load(shipped({"entry.py": ENTRY, "helper.py": helper_of("A")}))
    assert model.predict("") == "A"
    assert sys.modules["helper"] is own
    assert importlib.import_module("helper").answer(1) == "application 1"


def test_the_application_imports_its_own_module_while_a_model_predicts(
    shipped: MakeShipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "application").mkdir()
    (tmp_path / "application" / "helper.py").write_text("def answer(data):\n    return 'own'\n")
    monkeypatch.syspath_prepend(str(tmp_path / "application"))
    entry = """
        import helper

        class Model:
            def predict(self, data):
                data["inside"].set()
                assert data["go on"].wait(30)
                import importlib
                return helper.answer(""), importlib.import_module("helper").answer("")

        def _load_pyfunc(path):
            return Model()
    """
    model = load(shipped({"entry.py": entry, "helper.py": helper_of("A")}))
    inside, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(model.predict, {"inside": inside, "go on": go_on})
        assert inside.wait(30)
        application = importlib.import_module("helper")
        assert application.answer(1) == "own"
        go_on.set()
        assert prediction.result() == ("A", "A")
    assert sys.modules.pop("helper").answer(2) == "own"
    assert application.answer(3) == "own"


def test_the_application_imports_its_own_module_after_a_model_read_a_pickle(
    shipped: MakeShipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "application" / "things").mkdir(parents=True)
    (tmp_path / "application" / "things" / "__init__.py").write_text("from . import part\n")
    (tmp_path / "application" / "things" / "part.py").write_text("NAME = 'application'\n")
    monkeypatch.syspath_prepend(str(tmp_path / "application"))
    entry = """
        import joblib

        class Model:
            def __init__(self, path):
                self.path = path

            def predict(self, data):
                first = joblib.load(self.path).name()
                data["inside"].set()
                assert data["go on"].wait(30)
                return first, joblib.load(self.path).name()

        def _load_pyfunc(path):
            return Model(path)
    """
    files: Files = {
        "entry.py": entry,
        "things.py": THINGS.replace("NAME", "A"),
        "../thing.pkl": thing_pickle("things", joblib_bytes),
    }
    model = load(shipped(files, data="thing.pkl"))
    inside, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(model.predict, {"inside": inside, "go on": go_on})
        assert inside.wait(30)
        application = importlib.import_module("things")
        assert application.part.NAME == "application"
        go_on.set()
        assert prediction.result() == ("A7", "A7")
    assert sys.modules["things"].part.NAME == "application"
    assert application.part.NAME == "application"
    for name in ("things", "things.part"):
        del sys.modules[name]


def test_a_plain_folder_does_not_hide_an_installed_package(shipped: MakeShipped) -> None:
    entry = """
        import json

        class Model:
            def predict(self, data):
                return json.dumps(data)

        def _load_pyfunc(path):
            return Model()
    """
    model = load(shipped({"entry.py": entry, "json/notes.txt": "no module"}))
    assert model.predict([1]) == "[1]"


THINGS = """
    from dataclasses import dataclass

    @dataclass
    class Thing:
        value: int

        def name(self):
            return "NAME" + str(self.value)
"""


def thing_pickle(module: str, dump: Callable[[Any], bytes]) -> bytes:
    """Return a pickle of an instance of ``module.Thing``, which exists nowhere here."""
    fake = types.ModuleType(module)
    parts = module.split(".")
    parents = {".".join(parts[:n]): types.ModuleType(parts[n - 1]) for n in range(1, len(parts))}
    sys.modules.update({**parents, module: fake})
    try:
        exec(textwrap.dedent(THINGS), fake.__dict__)
        return dump(fake.Thing(7))
    finally:
        for name in (*parents, module):
            del sys.modules[name]


def joblib_bytes(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("module", ["things", "box.things", "plain.things"])
@pytest.mark.parametrize(
    ("reader", "dump"),
    [
        pytest.param("import joblib\nthing = joblib.load(path)", joblib_bytes, id="joblib"),
        pytest.param(
            "import pickle\nwith open(path, 'rb') as file:\n    thing = pickle.load(file)",
            pickle.dumps,
            id="pickle",
        ),
        pytest.param(
            "import cloudpickle\nwith open(path, 'rb') as file:\n"
            "    thing = cloudpickle.load(file)",
            pickle.dumps,
            id="cloudpickle",
        ),
    ],
)
def test_an_artifact_that_refers_to_a_shipped_class_loads(
    shipped: MakeShipped, module: str, reader: str, dump: Callable[[Any], bytes]
) -> None:
    entry = (
        "class Model:\n    def __init__(self, thing):\n        self.thing = thing\n"
        "    def predict(self, data):\n        return self.thing.name(), type(self.thing)\n"
        f"def _load_pyfunc(path):\n{textwrap.indent(reader, '    ')}\n    return Model(thing)\n"
    )
    source = module.replace(".", "/") + ".py"
    models = []
    for name in "AB":
        files: dict[str, str | bytes] = {
            "entry.py": entry,
            source: THINGS.replace("NAME", name),
            "../thing.pkl": thing_pickle(module, dump),
        }
        if module.startswith("box"):
            files["box/__init__.py"] = ""
        models.append(load(shipped(files, data="thing.pkl")))
    (first, first_type), (second, second_type), (again, _) = (
        model.predict(None) for model in (*models, models[0])
    )
    assert [first, second, again] == ["A7", "B7", "A7"]
    assert first_type is not second_type


def test_pickles_of_shipped_classes_are_read_in_threads(shipped: MakeShipped) -> None:
    entry = """
        import pickle

        class Model:
            def __init__(self, path):
                self.path = path

            def predict(self, data):
                with open(self.path, "rb") as file:
                    return pickle.load(file).name()

        def _load_pyfunc(path):
            return Model(path)
    """
    models = []
    for name in "AB":
        files: Files = {
            "entry.py": entry,
            "things.py": THINGS.replace("NAME", name),
            "../thing.pkl": thing_pickle("things", pickle.dumps),
        }
        models.append(load(shipped(files, data="thing.pkl")))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: models[n % 2].predict(None), range(100)))
    assert found == ["A7", "B7"] * 50


def test_what_a_model_pickles_it_can_read_back(shipped: MakeShipped) -> None:
    entry = """
        import pickle
        from things import Thing

        class Model:
            def predict(self, data):
                return pickle.loads(pickle.dumps(Thing(data))).name()

        def _load_pyfunc(path):
            return Model()
    """
    model = load(shipped({"entry.py": entry, "things.py": THINGS.replace("NAME", "A")}))
    assert model.predict(3) == "A3"


def test_annotations_that_are_text_resolve_in_shipped_code(shipped: MakeShipped) -> None:
    entry = """
        from __future__ import annotations

        import dataclasses
        import typing

        @dataclasses.dataclass
        class Row:
            value: Number
            names: typing.ClassVar[dict[str, int]] = {"a": 1}

        @dataclasses.dataclass
        class Number:
            value: int

        class Model:
            def predict(self, data):
                hints = typing.get_type_hints(Row)
                fields = [field.name for field in dataclasses.fields(Row)]
                return hints["value"] is Number, fields

        def _load_pyfunc(path):
            return Model()
    """
    assert load(shipped({"entry.py": entry})).predict(None) == (True, ["value"])


def test_a_loader_module_in_a_package(shipped: MakeShipped) -> None:
    entry = ENTRY.replace("import helper", "from . import helper")
    files = {
        "package/__init__.py": "",
        "package/entry.py": entry,
        "package/helper.py": helper_of("A"),
    }
    assert load(shipped(files, loader_module="package.entry")).predict("") == "A"


def script_model(tmp_path: Path, name: str, text: str, files: Files, write: WriteFiles) -> Path:
    source = tmp_path / f"source-{name}"
    write(source, {"script.py": text, **{f"lib/{k}": v for k, v in files.items()}})
    # At save the script imports from where it is run, as with MLflow.
    sys.path.insert(0, str(source / "lib"))
    try:
        pyfunc.save_model(
            tmp_path / name,
            python_model=source / "script.py",
            code_paths=[str(path) for path in sorted((source / "lib").iterdir())],
            pip_requirements=[],
        )
    finally:
        sys.path.remove(str(source / "lib"))
        for module in [path.stem for path in (source / "lib").iterdir()]:
            sys.modules.pop(module, None)
    return tmp_path / name


SCRIPT = """
    import pyfunc
    import sibling

    class ScriptModel(pyfunc.PythonModel):
        def predict(self, model_input):
            import late
            return sibling.NAME + late.NAME

    pyfunc.set_model(ScriptModel())
"""


def test_c4_models_from_code_have_their_own_siblings(
    tmp_path: Path, write_files: WriteFiles
) -> None:
    models = [
        load(
            script_model(
                tmp_path,
                name,
                SCRIPT,
                {"sibling.py": f"NAME = {name!r}\n", "late.py": f"NAME = {name.lower()!r}\n"},
                write_files,
            )
        )
        for name in "AB"
    ]
    assert [m.predict(None) for m in (*models, models[0])] == ["Aa", "Bb", "Aa"]


def test_c4_scripts_in_threads_set_their_own_models(
    tmp_path: Path, write_files: WriteFiles
) -> None:
    paths = {}
    for name in "ABCDEFGH":
        text = f"""
            import time
            import pyfunc

            def model(model_input):
                return {name!r}

            time.sleep(0.002)
            pyfunc.set_model(model)
            time.sleep(0.002)
        """
        write_files(tmp_path, {f"{name}.py": text})
        paths[name] = tmp_path / f"model-{name}"
        pyfunc.save_model(
            paths[name], python_model=str(tmp_path / f"{name}.py"), pip_requirements=[]
        )
    gate = threading.Barrier(len(paths))

    def work(name: str) -> list[str]:
        gate.wait(30)
        return [load(paths[name]).predict(None) for _ in range(10)]

    with ThreadPoolExecutor(len(paths)) as pool:
        found = dict(zip(paths, pool.map(work, paths), strict=True))
    assert found == {name: [name] * 10 for name in paths}


def test_a_model_that_loads_another_with_a_module_of_the_same_name(shipped: MakeShipped) -> None:
    inner = shipped({"entry.py": ENTRY, "helper.py": helper_of("inner")})
    entry = f"""
        import helper
        import pyfunc

        class Model:
            def __init__(self):
                self.inner = pyfunc.load_model({str(inner)!r}, suppress_warnings=True)
                import late
                self.late = late.NAME

            def predict(self, data):
                before = helper.answer("")
                middle = self.inner.predict("")
                import importlib
                return before, middle, importlib.import_module("helper").answer(""), self.late

        def _load_pyfunc(path):
            return Model()
    """
    model = load(
        shipped({"entry.py": entry, "helper.py": helper_of("outer"), "late.py": "NAME = 1\n"})
    )
    assert model.predict(None) == ("outer", "inner", "outer", 1)


def test_a_pickled_model_finds_its_shipped_module(tmp_path: Path, write_files: WriteFiles) -> None:
    loaded = []
    for name in "AB":
        source = tmp_path / f"source-{name}"
        write_files(source, {"helper.py": helper_of(name)})

        class ByValue(pyfunc.PythonModel):
            def predict(self, model_input: Any) -> Any:
                import helper

                late = importlib.import_module("helper")
                return helper.answer("") + late.answer("")

        pyfunc.save_model(
            tmp_path / name,
            python_model=ByValue(),
            code_paths=[str(source / "helper.py")],
            pip_requirements=[],
        )
        loaded.append(load(tmp_path / name))
    assert [m.predict(None) for m in (*loaded, loaded[0])] == ["AA", "BB", "AA"]


def test_a_model_pickled_by_reference_is_rebuilt_from_its_code(
    tmp_path: Path, write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
        import pyfunc

        class Kept(pyfunc.PythonModel):
            def predict(self, model_input):
                return __name__
    """
    write_files(tmp_path, {"source/kept_model.py": text})
    monkeypatch.syspath_prepend(str(tmp_path / "source"))
    kept = importlib.import_module("kept_model")
    pyfunc.save_model(
        tmp_path / "model",
        python_model=kept.Kept(),
        code_paths=[str(tmp_path / "source" / "kept_model.py")],
        pip_requirements=[],
    )
    model = load(tmp_path / "model")
    assert type(model.unwrap_python_model()) is kept.Kept  # the very same file
    assert model.predict(None) == "kept_model"
    model.close()
    assert sys.modules.pop("kept_model") is kept
    sys.path.remove(str(tmp_path / "source"))
    again = load(tmp_path / "model")
    assert type(again.unwrap_python_model()) is not kept.Kept
    assert again.predict(None) == "kept_model"


def broken_entry(statement: str) -> str:
    return f"import helper\ndef _load_pyfunc(path):\n    {statement}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(broken_entry("raise ValueError('no')"), ModelIncompleteError, id="error"),
        pytest.param(broken_entry("raise KeyboardInterrupt"), KeyboardInterrupt, id="interrupt"),
        pytest.param(broken_entry("raise SystemExit(3)"), SystemExit, id="exit"),
        pytest.param("import helper\nraise ValueError('no')\n", ModelIncompleteError, id="import"),
        pytest.param("import helper\nraise KeyboardInterrupt\n", KeyboardInterrupt, id="stopped"),
        pytest.param("import helper\nimport not_there_at_all\n", ModelIncompleteError, id="lack"),
        pytest.param("import helper\ndef broken(:\n", ModelIncompleteError, id="syntax"),
    ],
)
def test_c10_a_failing_load_leaves_the_import_system_alone(
    shipped: MakeShipped, text: str, expected: type[BaseException]
) -> None:
    path = shipped({"entry.py": text, "helper.py": helper_of("A")})
    before = sorted(sys.modules)
    with pytest.raises(expected):
        load(path)
    assert sorted(sys.modules) == before
    assert current_scope() is None
    assert not code_aliases._aliases


def test_c10_load_context_that_is_interrupted_leaves_the_import_system_alone(
    tmp_path: Path, write_files: WriteFiles
) -> None:
    write_files(tmp_path, {"helper.py": helper_of("A")})

    class Interrupted(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            import helper

            helper.answer("")
            raise KeyboardInterrupt

        def predict(self, model_input: Any) -> Any:
            return model_input

    pyfunc.save_model(
        tmp_path / "model",
        python_model=Interrupted(),
        code_paths=[str(tmp_path / "helper.py")],
        pip_requirements=[],
    )
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path / "model")
    assert current_scope() is None


def test_a_predict_that_fails_leaves_the_import_system_alone(shipped: MakeShipped) -> None:
    helper = "def answer(data):\n    raise data\n"
    model = load(shipped({"entry.py": ENTRY, "helper.py": helper}))
    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            model.predict(error)
        assert current_scope() is None
        assert not code_aliases._aliases


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_c3_many_loads_do_not_grow(shipped: MakeShipped) -> None:
    path = shipped({"entry.py": ENTRY, "helper.py": helper_of("A")})

    def measure() -> dict[str, int]:
        for _ in range(4):  # some versions of Python need more than one pass
            gc.collect()
        return {
            "path": len(sys.path),
            "modules": len(sys.modules),
            "caches": len(sys.path_importer_cache),
            "scopes": len(code_aliases.scopes),
            "aliases": len(code_aliases._aliases),
            "files": open_descriptors(),
            "threads": threading.active_count(),
        }

    load(path).predict("")
    before = measure()
    for _ in range(1000):
        load(path).predict("")
    grown = {name: count for name, count in measure().items() if count > before[name]}
    assert grown == {}


def test_c3_closing_a_model_forgets_its_modules(shipped: MakeShipped) -> None:
    model = load(shipped({"entry.py": ENTRY.replace("import helper", ""), "helper.py": ""}))
    model.close()
    with pytest.raises(NameError):
        model.predict("")
    late = load(
        shipped(
            {
                "entry.py": """
                    class Model:
                        def predict(self, data):
                            import helper
                            return helper.answer(data)

                    def _load_pyfunc(path):
                        return Model()
                """,
                "helper.py": helper_of("A"),
            }
        )
    )
    with late as entered:
        assert entered is late
    with pytest.raises(ModuleNotFoundError, match="closed"):
        late.predict("")


WRITING_PROBE = """
import sys
import pyfunc
assert not sys.dont_write_bytecode
model = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
print(model.predict("x"))
"""


def test_m5_loading_writes_nothing_into_the_model(
    shipped: MakeShipped, list_tree: ListTree
) -> None:
    path = shipped(
        {
            "entry.py": ENTRY.replace("import helper", "from package import helper"),
            "package/__init__.py": "",
            "package/helper.py": helper_of("A"),
        }
    )
    before = list_tree(path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    finished = subprocess.run(
        [sys.executable, "-c", WRITING_PROBE, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert finished.stdout.strip() == "Ax"
    assert list_tree(path) == before


def test_c6_a_directory_that_cannot_be_written_loads(shipped: MakeShipped) -> None:
    path = shipped({"entry.py": ENTRY, "helper.py": helper_of("A")})
    folders = [path / "code", path]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert load(path).predict("") == "A"
    finally:
        for folder in folders:
            folder.chmod(0o755)


def planted_bytecode(source: Path) -> None:
    """Put bytecode beside ``source`` that Python itself would run without looking at it."""
    import importlib.util
    import py_compile

    other = source.with_name("other.py")
    other.write_text("def answer(data):\n    return 'planted'\n")
    py_compile.compile(
        str(other),
        cfile=importlib.util.cache_from_source(str(source)),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    other.unlink()


def test_m4_planted_bytecode_is_never_used(shipped: MakeShipped) -> None:
    path = shipped({"entry.py": ENTRY, "helper.py": helper_of("A")})
    planted_bytecode(path / "code" / "helper.py")
    assert load(path).predict("") == "A"


def test_m4_bytecode_without_a_source_is_no_module(shipped: MakeShipped) -> None:
    path = shipped({"entry.py": ENTRY, "helper.py": helper_of("A")})
    planted_bytecode(path / "code" / "helper.py")
    compiled = next((path / "code" / "__pycache__").iterdir())
    compiled.rename(path / "code" / "helper.pyc")
    (path / "code" / "helper.py").unlink()
    with pytest.raises(ModelIncompleteError, match="helper"):
        load(path)


def test_a_scope_says_what_belongs_to_it(tmp_path: Path, write_files: WriteFiles) -> None:
    write_files(
        tmp_path,
        {
            "one.py": "",
            "two/__init__.py": "",
            "three/part.py": "",
            "pyfunc/__init__.py": "",
            "notes.txt": "",
        },
    )
    scope = CodeScope([tmp_path])
    assert scope.provides("one")
    assert scope.provides("two.anything")
    assert scope.provides("three")
    for name in ("pyfunc", "notes", "json", "on"):
        assert not scope.provides(name), name


def test_a_missing_module_is_named_as_the_code_names_it(shipped: MakeShipped) -> None:
    entry = """
        class Model:
            def predict(self, data):
                import package.not_there

        def _load_pyfunc(path):
            return Model()
    """
    model = load(shipped({"entry.py": entry, "package/__init__.py": ""}))
    with pytest.raises(ModuleNotFoundError, match=r"'package\.not_there'") as caught:
        model.predict(None)
    assert caught.value.name == "package.not_there"


def test_a_stream_does_not_leave_its_scope_active(shipped: MakeShipped) -> None:
    entry = """
        class Model:
            def predict(self, data):
                return data

            def predict_stream(self, data):
                try:
                    import helper
                    yield helper.answer(1)
                    from late import NAME
                    yield NAME
                finally:
                    import at_end
                    data.append(at_end.NAME)

        def _load_pyfunc(path):
            return Model()
    """
    path = shipped(
        {
            "entry.py": entry,
            "helper.py": helper_of("A"),
            "late.py": "NAME = 'late'\n",
            "at_end.py": "NAME = 'end'\n",
        },
        streamable=True,
    )
    seen: list[str] = []
    parts = load(path).predict_stream([seen])
    found = []
    for part in parts:
        found.append(part)
        assert current_scope() is None
    assert found == ["A1", "late"]
    assert seen == ["end"]


def test_a_stream_that_is_given_up_ends_in_its_scope(shipped: MakeShipped) -> None:
    entry = """
        import pyfunc.code.scope

        class Model:
            def predict(self, data):
                return data

            def predict_stream(self, data):
                try:
                    yield 1
                finally:
                    data.append(pyfunc.code.scope.current_scope() is not None)

        def _load_pyfunc(path):
            return Model()
    """
    seen: list[bool] = []
    parts = load(shipped({"entry.py": entry}, streamable=True)).predict_stream([seen])
    assert next(parts) == 1
    parts.close()  # type: ignore[attr-defined]
    assert seen == [True]


def test_the_data_files_of_a_shipped_package_can_be_read(shipped: MakeShipped) -> None:
    entry = """
        import importlib.resources
        import pkgutil
        import package

        class Model:
            def predict(self, data):
                text = importlib.resources.files(package).joinpath("words.txt").read_text()
                return text, pkgutil.get_data(package.__name__, "words.txt").decode()

        def _load_pyfunc(path):
            return Model()
    """
    model = load(
        shipped({"entry.py": entry, "package/__init__.py": "", "package/words.txt": "hello"})
    )
    assert model.predict(None) == ("hello", "hello")
