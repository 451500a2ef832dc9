"""What a callable of the user takes, whatever it is, and what its annotations stand for."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NewType

import pandas as pd
import pytest

from pyfunc.errors import RunError
from pyfunc.functions import Function, Project
from pyfunc.functions.json_values import find_converter
from pyfunc.functions.outputs import handler, outputs_of
from pyfunc.functions.signatures import plain_annotation, read_parameters

Make = Callable[..., Function]
Rows = NewType("Rows", pd.DataFrame)
TAKES_FRAMES = {
    "text": "import pandas as pd\ndef f(d: 'pd.DataFrame'): return kind(d)",
    "optional": "import pandas as pd\ndef f(d: pd.DataFrame | None = None): return kind(d)",
    "other-name": """
        import pandas as pd
        from typing import NewType
        Rows = NewType("Rows", pd.DataFrame)
        def f(d: Rows): return kind(d)""",
    "beside-a-name-that-leads-nowhere": """
        import pandas as pd
        def f(d: "pd.DataFrame", other: "Nowhere" = None): return kind(d)""",
    "for-checkers": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import nowhere
            from . import beside
            import pandas as pd
        def f(d: pd.DataFrame): return kind(d)""",
    "from-for-checkers": """
        from __future__ import annotations
        import typing
        if typing.TYPE_CHECKING:
            from pandas import DataFrame as Rows
        def f(d: Rows): return kind(d)""",
    "object": """
        import pandas as pd
        class Reader:
            def __call__(self, d: pd.DataFrame): return kind(d)
        f = Reader()""",
    "method": """
        import pandas as pd
        class Reader:
            def read(self, d: pd.DataFrame): return kind(d)
        f = Reader().read""",
    "partial": """
        import functools
        import pandas as pd
        def g(a, d: pd.DataFrame): return kind(d)
        f = functools.partial(g, 1)""",
    "wrapped": """
        import functools
        import pandas as pd
        def twice(g):
            @functools.wraps(g)
            def both(*args, **kwargs): return g(*args, **kwargs)
            return both
        @twice
        def f(d: "pd.DataFrame"): return kind(d)""",
}


@pytest.mark.parametrize("case", TAKES_FRAMES)
def test_an_annotation_is_read_wherever_it_stands(make: Make, project: Project, case: str) -> None:
    item = project.log_dataitem("d", data=pd.DataFrame({"a": [1]}))
    code = textwrap.dedent(TAKES_FRAMES[case])
    run = make(f"{code}\ndef kind(value): return type(value).__name__\n").run(inputs={"d": item})
    assert run.results() == {"output_0": "DataFrame"}


def test_a_class_says_what_its_constructor_takes() -> None:
    class Reader:
        def __init__(self, path: Path, more: int = 1) -> None: ...

    assert [item.annotation for item in read_parameters(Reader).values()] == [Path, int]


def test_what_leads_nowhere_stays_text() -> None:
    def f(a: Nowhere, b: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    found = read_parameters(f)
    assert [found["a"].annotation, found["b"].annotation] == ["Nowhere", int]


def test_what_does_not_say_what_it_takes_is_refused(make: Make) -> None:
    with pytest.raises(RunError, match="which arguments it takes"):
        make("f = max").run(parameters={"x": 1})


@pytest.mark.parametrize("parameters", [{"x": 1}, {}])
def test_an_argument_by_position_alone_is_one_problem(
    make: Make, parameters: dict[str, object]
) -> None:
    with pytest.raises(RunError, match="x: expected an argument by name") as caught:
        make("def f(x, /): return x").run(parameters=parameters)
    assert "1 problem(s)" in str(caught.value)
    assert make("def f(x=3, /): return x").run().result("output_0") == 3


def test_another_name_of_a_type_is_that_type() -> None:
    number = NewType("number", int)
    assert plain_annotation(NewType("again", number)) is int
    assert find_converter(number, "p")(1, "p", []) == 1


def test_outputs_are_named_below_partials_and_objects() -> None:
    @handler(outputs=["x"])
    def f(a: int) -> int:
        return a

    class Adding:
        @handler(outputs=["y"])
        def __call__(self, a: int) -> int:
            return a

    partial, adding = functools.partial(f, 1), Adding()
    assert [entry.name for entry in outputs_of(partial) or ()] == ["x"]
    assert [entry.name for entry in outputs_of(adding) or ()] == ["y"]
    assert outputs_of(functools.partial(print)) is None
