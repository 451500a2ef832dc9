"""Code of models in child processes: what it sends out and gets back keeps its meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SaveShipped = Callable[..., Path]
RunProgram = Callable[..., Any]

HELPER = """
    import dataclasses
    import enum
    from sklearn.base import BaseEstimator, TransformerMixin

    class Kind(enum.Enum):
        ONLY = "NAME"

    @dataclasses.dataclass
    class Out:
        value: object
        kind: Kind = Kind.ONLY

    def work(x):
        import late
        return Out(late.TEXT + str(x))

    class Scaled(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform(self, X):
            import late
            return X * late.FACTOR
"""
ENTRY = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    import helper

    class Model:
        def predict(self, how):
            if how == "sklearn":
                return self.fit_many()
            found = list(self.run(how))
            assert all(type(out) is helper.Out for out in found)
            assert all(out.kind is helper.Kind.ONLY for out in found)
            return [out.value for out in found]

        def run(self, how):
            if how == "loky":
                import joblib
                return joblib.Parallel(n_jobs=2)(joblib.delayed(helper.work)(i) for i in range(3))
            way, _, kind = how.partition("-")
            context = multiprocessing.get_context(way)
            if kind == "pool":
                with context.Pool(2) as pool:
                    return pool.map(helper.work, range(3))
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                return list(pool.map(helper.work, range(3)))

        def fit_many(self):
            import numpy as np
            from sklearn.compose import ColumnTransformer
            parts = [(str(n), helper.Scaled(), [n]) for n in range(4)]
            joined = ColumnTransformer(parts, n_jobs=2)
            return joined.fit_transform(np.ones((3, 4))).sum()

    def _load_pyfunc(path):
        return Model()
"""
PROGRAM = """
    import json, multiprocessing, sys
    import pyfunc

    if __name__ == "__main__":
        ways, *paths = sys.argv[1:]
        models, found = [], {}
        for path in paths:
            models.append(pyfunc.load_model(path, suppress_warnings=True))
            found["early " + str(len(models))] = models[-1].predict("loky")
        for way in ways.split(","):
            found[way] = [model.predict(way) for model in models]
        for model in models:
            model.close()
        from joblib.externals.loky import get_reusable_executor
        get_reusable_executor().shutdown()
        found["left"] = [
            [str(child) for child in multiprocessing.active_children()],
            [entry for entry in sys.path if "pyfunc-modules" in entry],
            [name for name in sys.modules if name in ("helper", "late", "entry")],
            [name for name in sys.modules if name.startswith("_pyfunc_model")],
        ]
        print(json.dumps(found))
"""


def save_two(save_shipped: SaveShipped) -> list[Path]:
    return [
        save_shipped(
            {
                "entry.py": ENTRY,
                "helper.py": HELPER.replace("NAME", name),
                "late.py": f"TEXT = {name!r}\nFACTOR = {factor}\n",
            }
        )
        for name, factor in (("A", 1.0), ("B", 10.0))
    ]


@pytest.mark.parametrize(
    "ways",
    ["fork,spawn,forkserver", "fork-pool,spawn-pool,forkserver-pool", "loky,sklearn"],
)
def test_children_of_two_conflicting_models_run_their_own_code(
    save_shipped: SaveShipped, run_program: RunProgram, ways: str
) -> None:
    found = run_program(PROGRAM, ways, *save_two(save_shipped))
    texts = [[f"{name}{i}" for i in range(3)] for name in "AB"]
    assert found.pop("left") == [[], [], [], []]
    assert found.pop("early 1") == texts[0]
    assert found.pop("early 2") == texts[1]  # by workers that were started for the first model
    assert found == {way: [12.0, 120.0] if way == "sklearn" else texts for way in ways.split(",")}


def test_children_write_no_bytecode_and_run_none(
    save_shipped: SaveShipped, run_program: RunProgram
) -> None:
    model = save_two(save_shipped)[0]
    assert run_program(PROGRAM, "spawn", model)["spawn"] == [["A0", "A1", "A2"]]
    assert list(model.rglob("*.pyc")) == []
    assert run_program(PROGRAM, "spawn", model)["spawn"] == [["A0", "A1", "A2"]]


CHANGED = """
    import json, sys
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    from pathlib import Path
    import pyfunc

    if __name__ == "__main__":
        model = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
        import helper
        Path(sys.argv[1], "code", "helper.py").write_text("def work(x): return 'planted'\\n")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                print(json.dumps(pool.submit(helper.work, 1).result()))
            except BaseException as error:
                print(json.dumps(type(error).__name__))
"""


def test_a_child_refuses_bytes_that_are_not_those_that_were_checked(
    save_shipped: SaveShipped, run_program: RunProgram
) -> None:
    assert run_program(CHANGED, save_two(save_shipped)[0]) == "BrokenProcessPool"


AFTER_CLOSE = """
    import json, sys
    import pyfunc

    if __name__ == "__main__":
        found = []
        for path in sys.argv[1:]:
            model = pyfunc.load_model(path, suppress_warnings=True)
            found.append(model.predict("loky"))
            model.close()
        print(json.dumps(found))
"""


def test_a_worker_that_served_a_closed_model_does_not_answer_for_the_next(
    save_shipped: SaveShipped, run_program: RunProgram
) -> None:
    found = run_program(AFTER_CLOSE, *save_two(save_shipped))
    assert found == [["A0", "A1", "A2"], ["B0", "B1", "B2"]]


BY_VALUE = """
    import joblib

    class Model:
        def predict(self, data):
            def work(x):
                import late
                from late import TEXT
                return late.TEXT + TEXT + str(x)
            if data == "function":
                return work
            return joblib.Parallel(n_jobs=2)(joblib.delayed(work)(i) for i in range(3))

    def _load_pyfunc(path):
        return Model()
"""
LAZY = """
    import json, sys
    from pathlib import Path
    import cloudpickle
    import pyfunc

    class Own(pyfunc.PythonModel):
        def predict(self, model_input):
            import joblib
            def work(x):
                import late
                return late.TEXT + str(x)
            return joblib.Parallel(n_jobs=2)(joblib.delayed(work)(i) for i in range(3))

    if __name__ == "__main__":
        models = []
        for path in sys.argv[1:3]:
            models.append(pyfunc.load_model(path, suppress_warnings=True))
            code = [str(file) for file in Path(path, "code").iterdir()]
            own = path + "-own"
            pyfunc.save_model(own, python_model=Own(), code_paths=code, pip_requirements=[])
            models.append(pyfunc.load_model(own, suppress_warnings=True))
        found = [[model.predict(None) for model in models] for _ in range(2)]
        function = models[2].predict("function")
        Path(sys.argv[3]).write_bytes(cloudpickle.dumps(function))
        print(json.dumps(found))
"""
ELSEWHERE = """
    import json, pickle, sys
    if len(sys.argv) > 2:
        import pyfunc
        models = [pyfunc.load_model(path, suppress_warnings=True) for path in sys.argv[2:]]
    try:
        found = pickle.loads(open(sys.argv[1], "rb").read())(1)
    except ModuleNotFoundError as error:
        found = str(error)
    print(json.dumps(found))
"""


def test_functions_that_go_by_value_import_their_own_modules(
    save_shipped: SaveShipped, run_program: RunProgram, tmp_path: Path
) -> None:
    paths = [
        save_shipped({"entry.py": BY_VALUE, "late.py": f"TEXT = {name!r}\n"}) for name in "AB"
    ]
    pickled = tmp_path / "function.pkl"
    expected = [[f"{part}{i}" for i in range(3)] for part in ("AA", "A", "BB", "B")]
    assert run_program(LAZY, *paths, pickled) == [expected] * 2
    assert "load the model first" in run_program(ELSEWHERE, pickled)
    assert run_program(ELSEWHERE, pickled, paths[1]) == "BB1"
    assert run_program(ELSEWHERE, pickled, *paths) == "BB1"
