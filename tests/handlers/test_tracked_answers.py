"""Answers that a server counts, as the ``tracker`` of a ``cortex.yaml`` asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

import pyfunc
from pyfunc.errors import ModelFormatError, PyfuncError
from pyfunc.handlers import add_handler, handler_routes
from pyfunc.handlers.tracker import Tracker
from pyfunc.serving import ServingSettings, create_app
from pyfunc.serving.http.metrics import PrometheusMeter

Save = Callable[..., Path]
Load = Callable[[Path], pyfunc.PyFuncModel]
Ask = Callable[..., httpx.Response]

ECHO = "def post_inference(prediction, signature, metadata):\n    return prediction\n"
BY_LABEL = {"model_type": "classification", "key": "label"}


class Label(str):
    """A text that is not exactly one."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("tracker", "answer", "expected"),
    [
        pytest.param(Tracker("classification"), "a", "a", id="text"),
        pytest.param(Tracker("classification"), 3, 3, id="number-of-a-class"),
        pytest.param(Tracker("classification", "k"), {"k": "a", "l": 1}, "a", id="by-key"),
        pytest.param(Tracker("regression"), 1.5, 1.5, id="float"),
        pytest.param(Tracker("regression", "k"), {"k": 2}, 2, id="int"),
    ],
)
def test_what_is_tracked(tracker: Tracker, answer: Any, expected: Any) -> None:
    assert tracker.find(answer) == expected


@pytest.mark.parametrize(
    ("tracker", "answer", "text"),
    [
        pytest.param(Tracker("classification"), True, "got bool", id="bool-is-no-class"),
        pytest.param(Tracker("classification"), 1.0, "got float", id="float-is-no-class"),
        pytest.param(Tracker("classification"), Label("a"), "got Label", id="subclass"),
        pytest.param(Tracker("classification"), np.int64(1), "got int64", id="numpy"),
        pytest.param(Tracker("regression"), np.float64(1), "got float64", id="numpy-float"),
        pytest.param(Tracker("regression"), "1", "got str", id="text-is-no-number"),
        pytest.param(Tracker("regression", "k"), {"l": 1}, "no key 'k'", id="no-key"),
        pytest.param(Tracker("regression", "k"), [1], "no key 'k'", id="no-mapping"),
    ],
)
def test_what_cannot_be_tracked(tracker: Tracker, answer: Any, text: str) -> None:
    with pytest.raises(PyfuncError, match=text):
        tracker.find(answer)


def figures(app: Any, client: Ask) -> list[str]:
    text = client(app, "GET", "/metrics").text
    return [
        line
        for line in text.splitlines()
        if line.startswith("pyfunc_predicted") and "_created" not in line
    ]


@pytest.mark.parametrize("route", ["/predict", "/invocations"])
def test_classes_are_counted(
    save: Save,
    load: Load,
    client: Ask,
    route: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = load(save(ECHO, handler_tracker=BY_LABEL))
    settings = ServingSettings(handler_on_invocations=True)
    app = create_app(model, settings=settings, extra_routes=handler_routes)
    assert figures(app, client) == []
    answers = [{"label": "a"}, {"label": "b"}, {"label": "a"}, {"label": 5.5}, {"label": 6.5}, 1]
    with caplog.at_level(logging.WARNING, "pyfunc.handlers"):
        for answer in answers:
            body = {"inputs": [answer]} if route == "/invocations" else answer
            assert client(app, "POST", route, json=body).status_code == 200
    assert figures(app, client) == [
        'pyfunc_predicted_class_total{value="a"} 2.0',
        'pyfunc_predicted_class_total{value="b"} 1.0',
    ]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "tracker: the value of 'label' must be str or int for classification, got float",
        "tracker: the answer has no key 'label'",
    ]


def test_only_so_many_classes_have_a_name(save: Save, load: Load, client: Ask) -> None:
    model = load(save(ECHO, handler_tracker={"model_type": "classification"}))
    app = create_app(model, extra_routes=handler_routes)
    for number in [*range(103), 0]:
        client(app, "POST", "/predict", json=number)
    found = figures(app, client)
    assert len(found) == 101
    assert 'pyfunc_predicted_class_total{value="other"} 3.0' in found
    assert 'pyfunc_predicted_class_total{value="0"} 2.0' in found


def test_numbers_are_summed_up(save: Save, load: Load, client: Ask) -> None:
    model = load(save(ECHO, handler_tracker={"model_type": "regression"}))
    app = create_app(model, extra_routes=handler_routes)
    for number in (1, 2.5, True):
        client(app, "POST", "/predict", json=number)
    assert figures(app, client) == [
        "pyfunc_predicted_value_count 2.0",
        "pyfunc_predicted_value_sum 3.5",
    ]


@pytest.mark.parametrize(
    ("model_type", "result", "reason"),
    [
        pytest.param("regression", "{'label': 10 ** 400}", "finite", id="beyond-floats"),
        pytest.param("regression", "{\"label\": float('nan')}", "finite", id="nan"),
        pytest.param("regression", "{\"label\": float('inf')}", "finite", id="infinity"),
        pytest.param("classification", "{'label': 10 ** 400}", "too many digits", id="long-class"),
        pytest.param("classification", "Odd(label=1)", "KeyError", id="odd-mapping"),
    ],
)
def test_no_answer_fails_for_what_is_tracked(
    *,
    save: Save,
    load: Load,
    client: Ask,
    caplog: pytest.LogCaptureFixture,
    model_type: str,
    result: str,
    reason: str,
) -> None:
    source = f"""
from collections import UserDict

class Odd(UserDict):
    def __getitem__(self, key):
        raise KeyError(key)
    def items(self):
        return self.data.items()

def post_inference(prediction, signature, metadata):
    return {result}
"""
    model = load(save(source, handler_tracker={"model_type": model_type, "key": "label"}))
    app = create_app(model, extra_routes=handler_routes)
    with caplog.at_level(logging.WARNING, "pyfunc.handlers"):
        statuses = [client(app, "POST", "/predict", json=1).status_code for _ in range(2)]
    assert statuses == [200, 200]
    assert figures(app, client) == []
    [message] = [record.getMessage() for record in caplog.records]
    assert reason in message


def test_names_of_classes_are_cut(save: Save, load: Load, client: Ask) -> None:
    model = load(save(ECHO, handler_tracker={"model_type": "classification"}))
    app = create_app(model, extra_routes=handler_routes)
    assert client(app, "POST", "/predict", json="x" * 5000).status_code == 200
    assert figures(app, client) == [f'pyfunc_predicted_class_total{{value="{"x" * 100}"}} 1.0']


def test_classes_need_not_be_utf8() -> None:
    meter = PrometheusMeter()
    meter.count_class("\ud800")
    assert b'value="\\\\ud800"' in meter.reply().body


def test_a_server_without_figures_answers(save: Save, load: Load, client: Ask) -> None:
    model = load(save(ECHO, handler_tracker={"model_type": "regression"}))
    app = create_app(model, settings=ServingSettings(metrics=False), extra_routes=handler_routes)
    assert client(app, "POST", "/predict", json=5).json() == 5


def test_a_handler_that_is_added_has_a_tracker(save: Save, load: Load, tmp_path: Path) -> None:
    path = save(ECHO)
    (tmp_path / "other.py").write_text(ECHO)
    add_handler(path, tmp_path / "other.py", handler_tracker=BY_LABEL)
    handler: Any = load(path).request_handler
    assert handler.tracker == Tracker("classification", "label")


def test_a_malformed_tracker_in_a_model_is_named(save: Save, load: Load) -> None:
    path = save(ECHO, handler_tracker=BY_LABEL)
    file = path / "MLmodel"
    tree = yaml.safe_load(file.read_text())
    assert tree["flavors"]["request_handler"]["tracker"] == BY_LABEL
    tree["flavors"]["request_handler"]["tracker"] = {"model_type": "clustering"}
    file.write_text(yaml.safe_dump(tree))
    pyfunc.refresh(path)
    with pytest.raises(ModelFormatError, match=r"request_handler\.tracker"):
        load(path)
