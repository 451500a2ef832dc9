"""What callers, other processes and libraries see of a model's modules: what anybody's code is."""

from __future__ import annotations

import copy
import importlib
import importlib.resources
import importlib.util
import inspect
import json
import pickle
import pkgutil
import runpy
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import cloudpickle
import pytest

import pyfunc

SaveShipped = Callable[..., Path]
RunProgram = Callable[..., Any]

ENTRY = """
    import shown

    class Model:
        def predict(self, data):
            if data == "raise":
                raise shown.Failed("NAME")
            return shown.Out(data, shown.Kind.ONE)

    def _load_pyfunc(path):
        return Model()
"""
SHOWN = """
    from __future__ import annotations
    import dataclasses
    import enum
    import typing

    class Failed(Exception):
        pass

    class Kind(enum.Enum):
        ONE = 1

    class Pair(typing.NamedTuple):
        left: Kind

    @dataclasses.dataclass
    class Out:
        value: object
        kind: Kind
        letter: str = "NAME"
"""


def files(name: str) -> dict[str, str]:
    return {"entry.py": ENTRY, "shown.py": SHOWN.replace("NAME", name)}


def load(path: Path) -> Any:
    return pyfunc.load_model(path, suppress_warnings=True)


@pytest.fixture(autouse=True)
def _no_module_left() -> Iterator[None]:
    yield
    for name in ("shown", "entry", "pkg"):
        assert name not in sys.modules


def test_a_caller_that_imported_the_same_file_shares_its_classes(
    save_shipped: SaveShipped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = save_shipped(files("A"))
    monkeypatch.syspath_prepend(str(tmp_path / "source-0"))
    shown = importlib.import_module("shown")
    model = load(path)
    out = model.predict(1)
    assert out == shown.Out(1, shown.Kind.ONE)
    assert isinstance(out, shown.Out)
    assert out.kind is shown.Kind.ONE
    with pytest.raises(shown.Failed):
        model.predict("raise")
    model.close()
    assert sys.modules.pop("shown") is shown
    sys.modules.pop("entry", None)


def test_a_caller_that_imports_after_the_load_gets_the_models_module(
    save_shipped: SaveShipped,
) -> None:
    model = load(save_shipped(files("A")))
    shown = importlib.import_module("shown")
    out = model.predict(1)
    assert type(out) is shown.Out
    assert type(out).__module__ == "shown"
    assert typing.get_type_hints(type(out))["kind"] is shown.Kind
    assert pickle.loads(pickle.dumps(out)) == out
    model.close()


def test_two_models_with_the_same_file_share_it(save_shipped: SaveShipped) -> None:
    first, second = load(save_shipped(files("A"))), load(save_shipped(files("A")))
    assert type(first.predict(1)) is type(second.predict(1))
    first.close()
    assert second.predict(1).letter == "A"
    assert importlib.import_module("shown").Out is type(second.predict(1))
    second.close()


def test_of_two_versions_only_what_differs_is_kept_apart(save_shipped: SaveShipped) -> None:
    text = "class Same:\n    pass\n"
    first = load(save_shipped({**files("A"), "same.py": text}))
    second = load(save_shipped({**files("B"), "same.py": text, "lone.py": "X = 1\n"}))
    assert first.predict(1).letter == "A"
    out = second.predict(1)
    assert out.letter == "B"
    assert type(out).__module__.startswith("_pyfunc_model_")
    assert pickle.loads(pickle.dumps(out)) == out
    same, lone = importlib.import_module("same"), importlib.import_module("lone")
    assert (same.Same.__module__, lone.X) == ("same", 1)
    first.close()
    second.close()
    for name in ("same", "lone"):
        assert name not in sys.modules


def test_a_private_name_follows_from_the_content(save_shipped: SaveShipped) -> None:
    names = set()
    paths = [save_shipped(files("A")), save_shipped(files("B")), save_shipped(files("B"))]
    for path in paths[1:]:
        first, second = load(paths[0]), load(path)
        names.add(type(second.predict(1)).__module__)
        first.close()
        second.close()
    assert len(names) == 1
    third = load(paths[2])  # alone, so that its name is the plain one; the private one leads there
    assert importlib.import_module(names.pop()) is importlib.import_module("shown")
    third.close()


def test_a_module_of_the_caller_that_comes_later_is_the_callers(
    save_shipped: SaveShipped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = """
        class Model:
            def predict(self, data):
                import shown
                return shown.Out(data, None).letter

        def _load_pyfunc(path):
            return Model()
    """
    model = load(save_shipped({**files("A"), "entry.py": late}))
    own = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "shown", own)
    assert model.predict(1) == "A"
    assert sys.modules["shown"] is own
    monkeypatch.undo()
    model.close()


READER = """
    import json, pickle, sys
    mode, where, pickled = sys.argv[1:]
    if mode == "loaded":
        import pyfunc
        models = [pyfunc.load_model(path, suppress_warnings=True) for path in where.split(",")]
        known = models[-1].predict(1)
    out = pickle.loads(open(pickled, "rb").read())
    same = mode != "loaded" or (type(out) is type(known) and out == known)
    print(json.dumps([out.letter, same]))
"""


@pytest.mark.parametrize(
    ("beside", "beside_there"),
    [
        pytest.param(False, False, id="plain"),
        pytest.param(True, True, id="private"),
        pytest.param(True, False, id="private-here-and-plain-there"),
    ],
)
def test_a_prediction_is_read_by_a_process_that_has_loaded_the_model(
    save_shipped: SaveShipped,
    run_program: RunProgram,
    tmp_path: Path,
    beside: bool,
    beside_there: bool,
) -> None:
    first, second = save_shipped(files("A")), save_shipped(files("B"))
    opened = [load(first)] if beside else []
    model = load(second)
    (tmp_path / "out.pkl").write_bytes(pickle.dumps(model.predict(1)))
    for each in (*opened, model):
        each.close()
    where = f"{first},{second}" if beside_there else str(second)
    assert run_program(READER, "loaded", where, tmp_path / "out.pkl") == ["B", True]


def test_a_prediction_is_read_where_only_the_module_is_on_the_path(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    model = load(save_shipped(files("A")))
    (tmp_path / "out.pkl").write_bytes(pickle.dumps(model.predict(1)))
    model.close()
    found = run_program(READER, "path", "-", tmp_path / "out.pkl", path=tmp_path / "source-0")
    assert found == ["A", True]


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "cloudpickle": lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_loaded_model_can_be_copied_beside_others(save_shipped: SaveShipped, how: str) -> None:
    models = [load(save_shipped(files(name))) for name in "AB"]
    copies = [COPIES[how](model) for model in models]
    found = [model.predict(1).letter for model in (*copies, *models)]
    assert found == ["A", "B", "A", "B"]
    for model in (*copies, *models):
        model.close()


UNPICKLES = """
    import json, pickle, sys
    import pyfunc
    bystander = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
    models = pickle.loads(open(sys.argv[2], "rb").read())
    print(json.dumps([model.predict(1).letter for model in (bystander, *models)]))
"""


def test_loaded_models_arrive_in_a_fresh_process(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    paths = [save_shipped(files(name)) for name in "ABC"]
    models = [load(path) for path in paths[:2]]
    (tmp_path / "models.pkl").write_bytes(pickle.dumps(models))
    assert run_program(UNPICKLES, paths[2], tmp_path / "models.pkl") == ["C", "A", "B"]
    for model in models:
        model.close()


def test_a_model_that_is_gone_says_so_when_it_is_pickled(
    save_shipped: SaveShipped, tmp_path: Path
) -> None:
    model = load(save_shipped(files("A")))
    (tmp_path / "model-0").rename(tmp_path / "elsewhere")
    with pytest.raises(pyfunc.ModelNotFoundError, match="moved or removed"):
        pickle.dumps(model)
    model.close()


ENSEMBLE = """
    import json, sys
    import pyfunc

    class Both(pyfunc.PythonModel):
        def __init__(self, models):
            self.models = models

        def predict(self, model_input):
            return [model.predict(1).letter for model in self.models]

    if sys.argv[1] == "save":
        models = [pyfunc.load_model(path, suppress_warnings=True) for path in sys.argv[3:]]
        pyfunc.save_model(sys.argv[2], python_model=Both(models), pip_requirements=[])
        print(json.dumps(None))
    else:
        print(json.dumps(pyfunc.load_model(sys.argv[2], suppress_warnings=True).predict(None)))
"""


def test_an_ensemble_of_loaded_models_is_saved_and_loaded(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    paths = [save_shipped(files(name)) for name in "AB"]
    run_program(ENSEMBLE, "save", tmp_path / "both", *paths)
    assert run_program(ENSEMBLE, "load", tmp_path / "both") == ["A", "B"]


PACKAGE = {
    "entry.py": """
        import pkg.sub

        class Model:
            def predict(self, data):
                return pkg.sub.value()

        def _load_pyfunc(path):
            return Model()
    """,
    "pkg/__init__.py": "",
    "pkg/sub.py": "def value():\n    return inner()\n\ndef inner():\n    return 1\n",
    "pkg/words.txt": "hello",
    "pkg/program.py": "ANSWER = 3\n",
    "plain_folder/words.txt": "there",
    "plain_folder/part.py": "",
}


def test_a_plain_name_is_a_whole_module(save_shipped: SaveShipped) -> None:
    path = save_shipped(PACKAGE)
    model = load(path)
    assert model.predict(None) == 1
    assert importlib.resources.files("pkg").joinpath("words.txt").read_text() == "hello"
    folder = importlib.import_module("plain_folder")
    assert importlib.resources.files(folder).joinpath("words.txt").read_text() == "there"
    assert pkgutil.get_data("pkg", "words.txt") == b"hello"
    spec = importlib.util.find_spec("pkg")
    assert spec is not None
    assert spec.origin == str(path / "code" / "pkg" / "__init__.py")
    assert spec.submodule_search_locations == [str(path / "code" / "pkg")]
    assert sys.modules["pkg.sub"].value() == 1
    assert runpy.run_module("pkg.program")["ANSWER"] == 3
    with mock.patch("pkg.sub.inner", return_value=2):
        assert model.predict(None) == 2
    assert inspect.getsource(sys.modules["pkg.sub"].inner) == "def inner():\n    return 1\n"
    model.close()
    assert not [name for name in sys.modules if name.partition(".")[0] in ("pkg", "plain_folder")]


def test_code_that_is_only_bytecode_is_refused_with_the_reason(
    save_shipped: SaveShipped, tmp_path: Path
) -> None:
    import py_compile

    path = save_shipped(files("A"))
    code = path / "code"
    py_compile.compile(str(code / "shown.py"), cfile=str(code / "shown.pyc"))
    (code / "shown.py").unlink()
    with pytest.raises(pyfunc.PyfuncError, match=r"(?s)bytecode.*ship its source"):
        pyfunc.load_model(path, suppress_warnings=True, verify="skip")


SWEEP = """
    import importlib, json, sys
    from pathlib import Path
    import pyfunc
    found = {}
    for name in json.loads(Path(sys.argv[1], "names.json").read_text()):
        before = {n: id(m) for n, m in sys.modules.items()}
        model = pyfunc.load_model(Path(sys.argv[1], name), suppress_warnings=True)
        found[name] = model.predict(None)
        model.close()
        changed = [n for n, m in before.items() if id(sys.modules.get(n)) != m]
        assert not changed, (name, changed)
        assert not hasattr(sys.modules.get(name), "OWN"), name
    print(json.dumps(found))
"""


def test_a_module_may_have_the_name_of_any_other(run_program: RunProgram, tmp_path: Path) -> None:
    entry = (
        "import {name} as named, pandas, joblib\nclass Model:\n    def predict(self, data):\n"
        "        import {name} as late\n        pandas.DataFrame({{'a': [1]}}).to_csv()\n"
        "        return [getattr(named, 'OWN', 'real'), getattr(late, 'OWN', 'real')]\n"
        "def _load_pyfunc(path):\n    return Model()\n"
    )
    left_out = {"this", "antigravity", "idlelib"}  # they do something when they are imported
    libraries = ["numpy", "cloudpickle", "yaml", "scipy"]
    names = [*sorted({*sys.stdlib_module_names} - left_out), *libraries]
    for name in names:
        code = tmp_path / name / "code"
        code.mkdir(parents=True)
        (code / f"{name}.py").write_text("OWN = 'own'\n")
        (code / "entry_of_sweep.py").write_text(entry.format(name=name))
        section = {"loader_module": "entry_of_sweep", "code": "code"}
        content = {"flavors": {"python_function": section}, "mlflow_version": "3.17.2"}
        content |= {"model_uuid": "0" * 32, "utc_time_created": "2026-01-01 00:00:00.000000"}
        (tmp_path / name / "MLmodel").write_text(json.dumps(content))
    (tmp_path / "names.json").write_text(json.dumps(names))
    found = run_program(SWEEP, tmp_path)
    from pyfunc.code.bindings import ALWAYS_REAL

    expected = {n: ["real"] * 2 if n in ALWAYS_REAL else ["own"] * 2 for n in names}
    assert found == expected


LONG_LIVED = """
    import threading
    import shown

    class Model:
        def __init__(self, path):
            self.path = path
            self.asked, self.told = threading.Event(), threading.Event()
            threading.Thread(target=self.work, daemon=True).start()

        def work(self):
            assert self.asked.wait(60)
            import pickle, late
            out = pickle.loads(pickle.dumps(shown.Out(late.NAME, shown.Kind.ONE)))
            self.found = [out.value, type(out) is shown.Out]
            self.told.set()

        def predict(self, data):
            if data == "thread":
                self.asked.set()
                assert self.told.wait(60)
                return self.found
            if data == "cache":
                import joblib
                return joblib.Memory(self.path, verbose=0).cache(shown.make)(1)
            return self.parts()

        def parts(self):
            import late
            yield shown.Out(late.NAME, shown.Kind.ONE)
            import later
            yield shown.Out(later.NAME, shown.Kind.ONE)

    def _load_pyfunc(path):
        return Model(path)
"""
NEXT = """
    import json, sys
    import pyfunc
    models = [pyfunc.load_model(path, suppress_warnings=True) for path in sys.argv[1:]]
    found = []
    for model in models:
        parts = list(model.predict("parts"))
        cached = model.predict("cache")
        found.append([
            [part.value for part in parts],
            model.predict("thread"),
            cached.value,
            type(cached) is type(parts[0]),
        ])
    print(json.dumps(found))
"""


def test_what_outlives_a_call_finds_its_own_modules(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    paths = []
    for name in "AB":
        cache = tmp_path / f"cache-{name}"
        made = f"\n    def make(value):\n        return Out({name!r}, Kind.ONE)\n"
        path = save_shipped(
            {
                "entry.py": LONG_LIVED.replace("self.path, v", f"{str(cache)!r}, v"),
                "shown.py": SHOWN + made,
                "late.py": f"NAME = {name!r}\n",
                "later.py": f"NAME = '{name} later'\n",
            },
        )
        paths.append(path)
    expected = [[[n, f"{n} later"], [n, True], n, True] for n in "AB"]
    for _ in range(2):  # the second process reads what the first one has cached
        assert run_program(NEXT, *paths) == expected


def test_code_that_outlives_its_forgotten_model_can_still_import(
    save_shipped: SaveShipped,
) -> None:
    late = """
        class Model:
            def predict(self, data):
                import shown
                return shown.Out(data, None).letter

        def _load_pyfunc(path):
            return Model()
    """
    kept = load(save_shipped({**files("A"), "entry.py": late}))._model_impl
    assert "entry" not in sys.modules  # nobody holds the loaded model any more
    other = load(save_shipped({**files("B"), "entry.py": late}))
    assert [kept.predict(1), other.predict(1)] == ["A", "B"]
    other.close()
    scope = kept.predict.__func__.__globals__["__builtins__"]["__import__"].__self__.scope
    scope.close()


class Watched(dict[str, Any]):
    """Counts how often it is asked or changed."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.uses = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.uses += 1
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.uses += 1
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self.uses += 1
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.uses += 1
        super().__setitem__(key, value)

    def __iter__(self) -> Iterator[str]:
        self.uses += 1
        return super().__iter__()


def test_a_call_takes_no_lock_and_looks_up_no_module_where_nothing_conflicts(
    save_shipped: SaveShipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyfunc.code import aliases, scope

    models = [load(save_shipped(files(name))) for name in "AB"]
    for model in models:
        model.predict(1)
    lock = mock.MagicMock(wraps=aliases.lock)
    lock.__enter__.side_effect = aliases.lock.__enter__
    lock.__exit__.side_effect = aliases.lock.__exit__
    modules = Watched(dict(sys.modules))
    # Only this shows what a call does; the lock and the table are shared by all models.
    for module in (aliases, scope):
        monkeypatch.setattr(module, "lock", lock)
        monkeypatch.setattr(module, "sys", mock.MagicMock(wraps=sys, modules=modules))
    assert models[0].predict(1).letter == "A"
    assert (lock.__enter__.call_count, modules.uses) == (0, 0)
    assert models[1].predict(1).letter == "B"
    assert lock.__enter__.call_count > 0  # what is counted is what a model that conflicts does
    assert modules.uses > 0
    monkeypatch.undo()
    for model in models:
        model.close()


ASKS = {
    "entry.py": """
        import sys
        import pkg

        class Model:
            def predict(self, data):
                import importlib.resources
                import importlib.util
                import inspect
                import pkgutil
                import runpy
                import typing
                from unittest import mock
                with mock.patch("pkg.late.NAME", "patched"):
                    import pkg.late
                    patched = pkg.late.NAME
                return {
                    "run": runpy.run_module("pkg.program", run_name="__main__")["NAME"],
                    "run_path": runpy.run_path(pkg.program_file())["NAME"],
                    "missing": importlib.util.find_spec("pkg.missing") is None,
                    "spec": importlib.util.find_spec("pkg.unseen").origin == pkg.file("unseen.py"),
                    "resource": importlib.resources.files("pkg").joinpath("name.txt").read_text(),
                    "data": pkgutil.get_data("pkg", "name.txt").decode(),
                    "resolved": pkgutil.resolve_name("pkg.late:NAME"),
                    "source": inspect.getsource(pkg.file).startswith("def file"),
                    "hints": typing.get_type_hints(pkg.Node)["after"] == (pkg.Node | None),
                    "executed": self.execute(),
                    "patched": patched,
                }

            def execute(self):
                names = {}
                exec("import pkg.late as late; NAME = late.NAME", names)
                return names["NAME"]

        def _load_pyfunc(path):
            return Model()
    """,
    "pkg/__init__.py": """
        from __future__ import annotations
        import dataclasses
        import os
        from .star import *

        def file(name):
            return os.path.join(os.path.dirname(__file__), name)

        def program_file():
            return file("program.py")

        @dataclasses.dataclass
        class Node:
            after: Node | None = None
    """,
    "pkg/star.py": "__all__ = ['NAME']\nNAME = 'LETTER'\n",
    "pkg/late.py": "NAME = 'LETTER'\n",
    "pkg/unseen.py": "",
    "pkg/program.py": "import pkg.late\nNAME = pkg.late.NAME\n",
    "pkg/name.txt": "LETTER",
}


def test_code_of_a_model_asks_for_its_modules_in_every_way_where_they_conflict(
    save_shipped: SaveShipped,
) -> None:
    models = [
        load(save_shipped({n: text.replace("LETTER", name) for n, text in ASKS.items()}))
        for name in "AB"
    ]
    for model, name in zip(models, "AB", strict=True):
        letters = ("run", "run_path", "resource", "data", "resolved", "executed")
        truths = ("missing", "spec", "source", "hints")
        expected = {**dict.fromkeys(letters, name), **dict.fromkeys(truths, True)}
        assert model.predict(None) == {**expected, "patched": "patched"}
    for model in models:
        model.close()


def test_a_module_that_is_wanted_when_the_model_is_gone_says_so(tmp_path: Path) -> None:
    (tmp_path / "gone_late.py").write_text("def up(text):\n    return text.upper()\n")

    class Late(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
            import gone_late

            return [gone_late.up(text) for text in model_input]

    for name in ("first", "second"):
        pyfunc.save_model(
            tmp_path / name,
            python_model=Late(),
            code_paths=[str(tmp_path / "gone_late.py")],
            pip_requirements=[],
        )
    (tmp_path / "gone_late.py").unlink()
    first = pyfunc.load_model(tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    assert pyfunc.load_model(tmp_path / "second").predict(["a"]) == ["A"]
    with pytest.raises(pyfunc.ModelNotFoundError, match=r"no model directory at .*first"):
        first.predict(["a"])
