"""Errors of a user's own code as what they are, and configuration files as people write them."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
from pyfunc.model.config import read_model_config

KINDS = [
    FileNotFoundError(2, "No such file", "/not/there"),
    KeyError("k"),
    ValueError("v"),
    AttributeError("a"),
    ImportError("i", name="n", path="p"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "r"),
    TimeoutError(),
    StopIteration(3),
]


def check_is(error: BaseException, original: Exception, path: Path) -> None:
    assert isinstance(error, pyfunc.ModelIncompleteError)
    assert isinstance(error, type(original))
    assert str(path) in str(error)
    assert type(error.__cause__) is type(original)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, type(original))
    assert str(again) == str(error)
    if isinstance(original, OSError):
        for each in (error, again):
            assert isinstance(each, OSError)
            assert (each.errno, each.filename) == (original.errno, original.filename)


@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
def test_an_exception_of_a_loader_is_caught_as_what_it_is(
    hand_made: Callable[..., Path], error: Exception
) -> None:
    text = f"raise pickle.loads({pickle.dumps(error)!r})"
    code = f"import pickle\ndef _load_pyfunc(path):\n    {text}\n"
    path = hand_made({"loader_module": "entry", "code": "code"}, {"code/entry.py": code})
    with pytest.raises(type(error)) as caught:
        pyfunc.load_model(path, suppress_warnings=True)
    check_is(caught.value, error, path)


class Fails(pyfunc.PythonModel):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def load_context(self, context: Any) -> None:
        raise self.error

    def predict(self, model_input: Any) -> Any:
        return model_input


@pytest.mark.parametrize("error", KINDS, ids=lambda error: type(error).__name__)
@pytest.mark.filterwarnings("ignore::pyfunc.PyfuncWarning")
def test_an_exception_of_load_context_is_caught_as_what_it_is(
    tmp_path: Path, error: Exception
) -> None:
    path = tmp_path / "model"
    pyfunc.save_model(path, python_model=Fails(error), pip_requirements=["not-there-at-all==1"])
    with pytest.raises(type(error)) as caught:
        pyfunc.load_model(path)
    check_is(caught.value, error, path)
    report = caught.value.environment_report  # type: ignore[attr-defined]
    assert "not-there-at-all" in str(report)


class OwnError(Exception):
    """Takes arguments that no other exception does."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)
        self.two = two


def test_an_exception_of_a_class_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "model"
    pyfunc.save_model(path, python_model=Fails(OwnError(1, 2)), pip_requirements=[])
    with pytest.raises(pyfunc.ModelIncompleteError) as caught:
        pyfunc.load_model(path, suppress_warnings=True)
    assert isinstance(caught.value, OwnError)
    assert caught.value.two == 2


FILES = [
    pytest.param("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n", id="merge"),
    pytest.param("a: &a {x: 1}\nb: &b {x: 2, z: 0}\nc: {y: 5, <<: [*a, *b]}\n", id="merge-list"),
    pytest.param("a: &a\n  k: 1\n<<: *a\nother: 2\n", id="merge-at-the-top"),
    pytest.param("\ufeffa: 1\n", id="byte-order-mark"),
    pytest.param("# nothing\n# here\n", id="comments"),
    pytest.param("", id="empty"),
    pytest.param("day: 2026-01-02\nwhen: 2026-01-02T03:04:05Z\n", id="dates"),
    pytest.param("1: one\n2: {3: three}\n", id="integer-keys"),
    pytest.param("2026-01-02: new\ntrue: yes\nnull: no\n1.5: x\n", id="other-keys"),
]


@pytest.mark.parametrize("text", FILES)
def test_a_configuration_file_is_read_as_yaml_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert read_model_config(tmp_path / "config.yaml") == (yaml.safe_load(text) or {})


def test_dates_of_a_configuration_are_dates(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("day: 2026-01-02\n", encoding="utf-8")
    config = pyfunc.ModelConfig(development_config=tmp_path / "config.yaml")
    assert config.get("day") == datetime.date(2026, 1, 2)


CONFIGURED = """
import pyfunc

config = pyfunc.ModelConfig(development_config={})

def whole(_):
    return config.to_dict()

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input):
        from concurrent.futures import ProcessPoolExecutor
        import multiprocessing
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            (child,) = pool.map(whole, [0])
        return [context.model_config, config.to_dict(), child]

pyfunc.set_model(Model())
"""
WRITTEN = {
    "dates": "day: 2026-01-02\nat: [2026-01-02T03:04:05Z]\nin: {day: 2026-01-02}\n",
    "numbers-as-keys": "1: one\n2: {3: three}\nfalse: yes\n0.5: half\n",
    "merge-keys": "base: &b {a: 1}\nmore:\n  <<: *b\n  c: 2\n",
    "byte-order-mark": "\ufeffa: 1\n",
    "infinite": "a: .inf\nb: 010\nc: 1:30\nd: ~\n",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_configuration_file_is_saved_and_loaded_with_all_it_says(
    tmp_path: Path, text: str
) -> None:
    file, script = tmp_path / "config.yaml", tmp_path / "script.py"
    file.write_text(text, encoding="utf-8")
    script.write_text(CONFIGURED)
    pyfunc.save_model(
        tmp_path / "model", python_model=script, model_config=file, pip_requirements=[]
    )
    expected = yaml.safe_load(text)
    model = pyfunc.load_model(tmp_path / "model", suppress_warnings=True)
    assert model.model_config == expected
    assert model.predict([1]) == [expected] * 3
    model.close()
    with_override = pyfunc.load_model(
        tmp_path / "model", suppress_warnings=True, model_config=file
    )
    assert with_override.model_config == expected
    with_override.close()


@pytest.mark.parametrize("text", ["~: 1\n", "2026-01-02: 1\n"], ids=["null", "date"])
def test_keys_that_the_file_of_a_model_cannot_have_are_refused_at_save(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "script.py").write_text(CONFIGURED)
    with pytest.raises(pyfunc.InvalidArgumentError, match="expected a string as key"):
        pyfunc.save_model(
            tmp_path / "model",
            python_model=tmp_path / "script.py",
            model_config=tmp_path / "config.yaml",
            pip_requirements=[],
        )
    assert not (tmp_path / "model").exists()


def test_merging_has_bounds(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], l{n}: 1}}" for n in range(1, 9)
    ]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(pyfunc.InvalidArgumentError, match="aliases"):
        read_model_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("text", ["<<: {a: 1}\n", "\ufeffa: 1\n", "1: a\n"])
def test_the_file_of_a_model_stays_strict(hand_made: Callable[..., Path], text: str) -> None:
    path = hand_made({"loader_module": "entry"})
    (path / "MLmodel").write_text(text + (path / "MLmodel").read_text(), encoding="utf-8")
    with pytest.raises(pyfunc.ModelFormatError):
        pyfunc.load_model(path)
