"""``handler``, and what becomes of what a function returns."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncWarning, RunError
from pyfunc.functions import Artifact, Dataitem, Function, Model, Project, handler
from pyfunc.functions.outputs import (
    as_primitive,
    decode_value,
    encode_value,
    name_items,
    outputs_of,
    parse_entries,
)

Make = Callable[..., Function]
RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "digitalhub" / "results.json").read_bytes()
)


def test_the_function_stays_as_it_is() -> None:
    def f(a: int, *, b: int = 2) -> int:
        return a + b

    marked = handler(outputs=["sum"])(f)
    assert marked is f
    assert not hasattr(f, "__wrapped__")
    assert (marked(1), marked(a=1, b=1)) == (3, 2)
    assert [entry.name for entry in outputs_of(f) or ()] == ["sum"]


def test_methods_coroutines_and_generators_stay_what_they_are() -> None:
    class Owner:
        @handler(outputs=["x"])
        def method(self) -> str:
            return "m"

        @staticmethod
        @handler()
        def static() -> str:
            return "s"

    @handler(outputs=["x"])
    async def coroutine() -> int:
        return 1

    @handler()
    def generator() -> Iterator[int]:
        yield 1

    assert (Owner().method(), Owner.static()) == ("m", "s")
    assert inspect.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine()) == 1
    assert inspect.isgeneratorfunction(generator)


def test_it_has_to_be_called() -> None:
    with pytest.raises(InvalidTypeError, match=r"@handler\(\)"):
        handler(lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outputs", "match"),
    [
        pytest.param(["a", "a"], "twice: a", id="twice"),
        pytest.param([""], "outputs\\[0\\]", id="no-name"),
        pytest.param([{"kind": "table"}], "name, kind", id="dict-without-name"),
        pytest.param([{"name": "a", "kin": 1}], "name, kind", id="unknown-key"),
        pytest.param([{"name": "a", "kind": "croissant"}], "expected one of", id="unknown-kind"),
        pytest.param("ab", "list of names", id="text"),
        pytest.param([3], "a name or a dict", id="number"),
        pytest.param([{"name": "a", "spec_kwargs": 3}], "spec_kwargs", id="spec"),
    ],
)
def test_outputs_that_cannot_be_are_refused_where_they_are_written(
    outputs: Any, match: str
) -> None:
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match=match):
        handler(outputs=outputs)


@pytest.mark.parametrize("case", sorted(RECORDED))
def test_results_are_those_of_the_real_packages(case: str, make: Make) -> None:
    recorded = RECORDED[case]
    head = "" if recorded["outputs"] is None else f"@handler({recorded['outputs']!r})\n"
    code = f"from pyfunc.functions import handler\n{head}def f():\n    {recorded['body']}\n"
    run = make(code).run(compat="digitalhub")
    found = {
        name: (value.decode() if isinstance(value, bytes) else repr(value))
        for name, value in run.results().items()
    }
    expected = {
        name: result["value"].replace("np.float64(0.5)", "0.5")
        for name, result in recorded["results"].items()
    }
    assert found == expected
    assert run.status.state == recorded["state"]


def test_only_tuples_are_unpacked() -> None:
    assert list(name_items(([1], 2), ())) == ["output_0", "output_1"]
    assert list(name_items([1, 2], ())) == ["output_0"]
    assert list(name_items([1, 2], (), compat="digitalhub")) == ["output_0", "output_1"]
    assert name_items(None, ()) == {}


def test_two_items_of_one_name_are_an_error() -> None:
    entries = parse_entries(["output_1"])
    with pytest.raises(InvalidArgumentError, match="'output_1'"):
        name_items((1, 2), entries)
    assert name_items((1, 2), entries, compat="digitalhub")["output_1"][1] == 2


def test_names_without_an_item_are_told() -> None:
    with pytest.warns(PyfuncWarning, match="b, c"):
        name_items(1, parse_entries(["a", "b", "c"]))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.timedelta64(5, "ns"), id="a-duration-of-nanoseconds"),
        pytest.param(np.timedelta64(5, "s"), id="a-duration-of-seconds"),
        pytest.param(np.datetime64("2026-01-01"), id="a-date"),
        pytest.param(np.complex64(1j), id="a-complex-number"),
    ],
)
def test_what_numpy_counts_among_numbers_and_is_none_is_no_result(value: object) -> None:
    assert as_primitive(value) is None


class Colour(str, Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value", ["", "é\ud800", 0, -(10**40), 0.1, float("inf"), float("-inf"), True, b"", b"\xff"]
)
def test_results_come_back_equal_and_of_the_same_type(value: Any) -> None:
    found = decode_value(json.loads(json.dumps(encode_value(value), allow_nan=False)))
    assert found == value
    assert type(found) is type(value)


def test_members_of_an_enum_are_their_value() -> None:
    assert type(encode_value(Colour.RED)) is str
    assert encode_value(Colour.RED) == "red"


@pytest.mark.parametrize(
    ("item", "expected", "under_compat"),
    [
        pytest.param(np.int64(3), 3, None, id="int64"),
        pytest.param(np.bool_(True), True, None, id="bool"),
        pytest.param(np.float32(0.5), 0.5, None, id="float32"),
        pytest.param(np.float64(0.5), 0.5, 0.5, id="float64-is-a-float"),
        pytest.param(np.complex64(1j), None, None, id="complex"),
        pytest.param(np.datetime64("2026-01-01"), None, None, id="moment"),
        pytest.param(np.array([1]), None, None, id="array"),
        pytest.param({"a": 1}, None, None, id="dict"),
    ],
)
def test_numbers_of_numpy_are_results(item: Any, expected: Any, under_compat: Any) -> None:
    assert as_primitive(item) == expected
    assert as_primitive(item, compat="digitalhub") == under_compat


KINDS = """
import pandas as pd
from pathlib import Path
from sklearn.linear_model import LinearRegression
from pyfunc.functions import handler

class Sub(pd.DataFrame):
    pass

@handler(outputs=["table", "sub", "series", "nothing", "number"])
def f():
    frame = pd.DataFrame({"a": [1, 2]})
    return frame, Sub({"a": [3]}), frame["a"], None, 7

@handler(outputs=[{"name": "m", "kind": "sklearn", "spec_kwargs": {"framework": "sklearn"}},
                  {"name": "file", "kind": "artifact"}, {"name": "seven", "kind": "artifact"}])
def kinds(where):
    path = Path(where, "a.txt")
    path.write_text("content")
    return LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), path, 7
"""


def test_frames_become_tables_and_the_rest_artifacts(make: Make) -> None:
    run = make(KINDS).run()
    outputs = run.outputs()
    assert {name: type(value) for name, value in outputs.items()} == {
        "table": Dataitem, "sub": Dataitem, "series": Artifact, "nothing": Artifact,
    }  # fmt: skip
    assert run.results() == {"number": 7}
    table, series, nothing = (outputs[name] for name in ("table", "series", "nothing"))
    assert isinstance(table, Dataitem)
    assert isinstance(series, Artifact)
    assert isinstance(nothing, Artifact)
    pd.testing.assert_frame_equal(table.as_df(), pd.DataFrame({"a": [1, 2]}))
    found = series.as_object()
    assert isinstance(found, pd.Series)
    pd.testing.assert_series_equal(found, pd.Series([1, 2], name="a"))
    assert nothing.as_object() is None
    assert table.relationships == [{"type": "produced_by", "dest": run.key}]


def test_an_entry_says_what_its_item_is_logged_as(make: Make, tmp_path: Path) -> None:
    run = make(KINDS, handler="kinds").run(parameters={"where": str(tmp_path)})
    model, file, seven = (run.output(name, strict=True) for name in ("m", "file", "seven"))
    assert isinstance(model, Model)
    assert (model.kind, model.spec.framework) == ("sklearn", "sklearn")
    assert model.load().predict(np.array([[3.0]])) == pytest.approx([6.0])
    assert isinstance(file, Artifact)
    assert file.as_file().read_text() == "content"
    assert isinstance(seven, Artifact)
    assert seven.as_object() == 7
    assert run.results() == {}


def test_outputs_at_run_name_what_nobody_may_change(make: Make) -> None:
    run = make("def f(): return 1, 2").run(outputs=["a", "b"])
    assert run.results() == {"a": 1, "b": 2}


def test_an_entity_that_is_returned_stays_that_entity(make: Make, project: Project) -> None:
    run = make(
        """
        import pandas as pd
        def f(project):
            return project.log_dataitem("own", data=pd.DataFrame({"a": [1]})), "text"
        """
    ).run()
    assert run.output("output_0", as_key=True) == project.get_dataitem("own").key
    assert project.get_dataitem("own").relationships[0]["dest"] == run.key


FAILING = """
import pandas as pd
import threading
from pyfunc.functions import handler

@handler(outputs=["first", "second"])
def f():
    return pd.DataFrame({"a": [1]}), threading.Lock()
"""


def test_what_cannot_be_pickled_ends_the_run_with_its_name_and_type(
    make: Make, project: Project, root: Path
) -> None:
    with pytest.raises(RunError, match=r"output 'second' of type _thread.lock cannot be pickled"):
        make(FAILING).run()
    [run] = project.list_runs()
    assert run.status.state == "ERROR"
    assert "'second'" in run.status.message
    assert run.outputs() == {}
    assert project.list_dataitems() == []
    assert not list(root.rglob("*.parquet"))


def test_an_unknown_name_is_none_or_lists_the_names(make: Make) -> None:
    run = make("def f(): return 1").run()
    assert run.output("x") is None
    assert run.result("x") is None
    with pytest.raises(LookupError, match="there are: output_0"):
        run.result("x", strict=True)
    with pytest.raises(LookupError, match="there are: none"):
        run.output("x", strict=True)


def test_an_unknown_compat_is_refused(make: Make) -> None:
    function: Function = make("def f(): return 1")
    with pytest.raises(InvalidArgumentError, match="compat"):
        function.run(compat="other")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_method_of_a_class_keeps_its_names(make: Make, kind: type) -> None:
    code = f"""
        from pyfunc.functions import handler
        class Maker:
            @handler(outputs=["q"])
            @{kind.__name__}
            def make(*cls): return 4
        f = Maker.make
    """
    assert make(code).run().results() == {"q": 4}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "'a'", id="names"),
        pytest.param("pd.DataFrame({'a': [object()]})", "object", id="objects"),
        pytest.param("10 ** 5000", "int", id="digits"),
    ],
)
def test_what_the_store_cannot_hold_ends_the_run_with_the_name_of_the_output(
    make: Make, project: Project, value: str, told: str
) -> None:
    code = f"""
        import pandas as pd
        def f(): return pd.DataFrame({{'a': [1]}}), {value}
    """
    with pytest.raises(RunError, match=rf"'output_1'[\s\S]*{told}"):
        make(code).run("job", backoff_limit=1)
    [run] = project.list_runs()
    assert (run.status.state, len(run.status.attempts)) == ("ERROR", 1)
    assert run.status.error["type"] == "pyfunc.errors.InvalidArgumentError"
    assert project.list_dataitems() == []
    assert not [*project.path.glob("dataitems/*/*/entity.json")]
