"""Every task, in every form of its inputs, saved and loaded by MLflow and here."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError, SchemaError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.interop]

GREEDY = {"do_sample": False, "max_new_tokens": 5}
GENERATING = ("text-generation", "text2text-generation", "summarization", "translation_en_to_de")
ONE, TWO = "a good day", ["a good day", "a bad dog"]
SOUND = np.sin(np.arange(4000) / 7).astype(np.float32)
QUESTION = {"question": "who is a dog", "context": "a dog is good"}
TABLE = json.dumps({"name": ["ann", "bob"], "age": ["1", "2"]})
LABELS = {"candidate_labels": ["x", "y"], "hypothesis_template": "this is {}"}

TEXTS = {
    "text": ONE,
    "texts": TWO,
    "mapping": {"any": ONE},
    "mappings": [{"any": text} for text in TWO],
    "frame": pd.DataFrame({"column": TWO}),
    "array": np.array(TWO),
}
FORMS: dict[str, dict[str, Any]] = {
    **dict.fromkeys((*GENERATING, "token-classification"), TEXTS),
    "text-classification": {
        "text": ONE,
        "texts": TWO,
        "mapping": {"text": ONE},
        "mappings": [{"text": text} for text in TWO],
        "frame": pd.DataFrame({"text": TWO}),
    },
    "fill-mask": {
        "text": "a [MASK] day",
        "texts": ["a [MASK] day", "[MASK] dog"],
        "masks": "a [MASK] [MASK]",
        "masks_in_texts": ["a [MASK] [MASK]", "[MASK] [MASK] x"],
    },
    "question-answering": {
        "mapping": QUESTION,
        "mappings": [QUESTION, {"question": "x", "context": "a bad dog is bad"}],
        "frame": pd.DataFrame({"question": ["who", "x"], "context": ["a dog", "a bad day"]}),
    },
    "zero-shot-classification": {
        "text": {"sequences": ONE, **LABELS},
        "texts": {"sequences": TWO, **LABELS},
        "json": {"sequences": TWO, **LABELS, "candidate_labels": '["x", "y"]'},
        "words": {"sequences": ONE, **LABELS, "candidate_labels": "x, y"},
        "rows": pd.DataFrame(
            {"sequences": TWO, "candidate_labels": ["x", "y"], "hypothesis_template": "a {}"}
        ),
    },
    "feature-extraction": {"text": ONE, "mapping": {"any": ONE}},
    "table-question-answering": {
        "mapping": {"query": "who is old", "table": TABLE},
        "mappings": [{"query": text, "table": TABLE} for text in ("who is old", "age")],
    },
}
CASES = [
    pytest.param(task, form, id=f"{task}-{form}")
    for task, forms in FORMS.items()
    for form in forms
]


def arguments_of(task: str) -> dict[str, Any]:
    return {"model_config": GREEDY} if task in GENERATING else {}


@pytest.mark.parametrize(("task", "form"), CASES)
def test_both_answer_the_same(
    task: str, form: str, saved_by_both: Any, assert_same_everywhere: Any
) -> None:
    both = saved_by_both(task, **arguments_of(task))
    assert_same_everywhere(both.predictions(FORMS[task][form]))


@pytest.mark.parametrize("task", [*FORMS, "image-classification"])
def test_the_signature_and_the_section_are_those_of_mlflow(task: str, saved_by_both: Any) -> None:
    folders = saved_by_both(task, **arguments_of(task)).folders
    theirs, ours = (pyfunc.Model.load(folders[name]) for name in ("mlflow", "ours"))
    assert ours.signature is not None
    assert theirs.signature is not None
    assert ours.signature.to_dict() == theirs.signature.to_dict()
    assert ours.flavors["transformers"] == theirs.flavors["transformers"]


@pytest.mark.parametrize("task", ["automatic-speech-recognition", "audio-classification"])
def test_an_array_is_heard_under_the_signature_of_its_example(
    task: str, saved_by_both: Any, assert_same_everywhere: Any
) -> None:
    both = saved_by_both(task, "array", input_example=SOUND)
    assert_same_everywhere(both.predictions(SOUND))


@pytest.mark.parametrize("task", ["automatic-speech-recognition", "audio-classification"])
@pytest.mark.parametrize("given", [b"RIFF", [b"RIFF"]], ids=["bytes", "list"])
def test_bytes_of_sound_need_ffmpeg(
    task: str, given: object, saved_by_both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved_by_both(task).models["mlflow to ours"]
    monkeypatch.setenv("PATH", "")  # as on a machine without it
    with pytest.raises(PyfuncError, match="ffmpeg") as caught:
        model.predict(given)
    assert "array of float32" in caught.value.hint


@pytest.mark.parametrize("task", ["automatic-speech-recognition"])
def test_words_come_with_their_times_as_json(task: str, saved_by_both: Any) -> None:
    both = saved_by_both(
        task, "words", input_example=SOUND, model_config={"return_timestamps": "word"}
    )
    answers = [[json.loads(text) for text in found] for found in both.predictions(SOUND).values()]
    assert all(found == answers[0] for found in answers)
    assert answers[0][0]["chunks"][0]["text"]


@pytest.fixture(name="image", scope="module")
def give_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    path = tmp_path_factory.mktemp("images") / "red.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return path


@pytest.mark.parametrize("form", ["path", "paths", "base64", "bytes", "frame", "picture"])
def test_images_have_a_label_and_a_score(form: str, image: Path, saved_by_both: Any) -> None:
    from PIL import Image

    both = saved_by_both("image-classification")
    content = image.read_bytes()
    data: Any = {
        "path": str(image),
        "paths": [str(image)] * 2,
        "base64": base64.encodebytes(content).decode(),
        "bytes": content,
        "frame": pd.DataFrame({"image": [str(image)] * 2}),
        "picture": pd.DataFrame({"image": [Image.open(io.BytesIO(content))]}),
    }[form]
    found = both.models["mlflow to ours"].predict(data)
    assert list(found.columns) == ["label", "score"]
    assert len(found) == (2 if form in ("paths", "frame") else 1)
    if form not in ("bytes", "picture"):
        theirs = both.models["ours to mlflow"].predict(data)  # the best of each row's cells
        assert found["label"].tolist() == [cell["label"] for cell in theirs[0]]


def test_all_labels_of_an_image_are_rows_if_asked_for(image: Path, saved_by_both: Any) -> None:
    both = saved_by_both("image-classification", "all", model_config={"top_k": 3})
    found = both.models["ours to ours"].predict([str(image)] * 2)
    assert sorted(found["label"][:3]) == ["cat", "dog", "fish"]
    assert found["label"][:3].tolist() == found["label"][3:].tolist()
    assert found["score"][:3].is_monotonic_decreasing


@pytest.mark.parametrize("given", ["no image", "/no/such/file.png", "YWJj", b"abc"])
def test_what_is_no_image_is_refused(given: object, saved_by_both: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="image"):
        saved_by_both("image-classification").models["ours to ours"].predict(given)


def test_each_text_has_its_features(saved_by_both: Any) -> None:
    both = saved_by_both("feature-extraction")
    model = both.models["mlflow to ours"]
    same, other = model.predict(TWO), model.predict(["a day", "a good day"])
    assert same.shape == (2, 3, 8)
    assert [one.shape for one in other] == [(2, 8), (3, 8)]
    np.testing.assert_allclose(same[1], both.models["mlflow to mlflow"].predict(TWO[1]), rtol=1e-5)


def test_labels_need_no_template(saved_by_both: Any) -> None:
    both = saved_by_both("zero-shot-classification")
    request = {"sequences": ONE, "candidate_labels": ["x", "y"]}
    expected = both.pipeline(**request)
    for saver in ("mlflow", "ours"):
        found = both.models[f"{saver} to ours"].predict(request)
        assert found["labels"].tolist() == expected["labels"]
        with pytest.raises(SchemaError):
            both.models[f"{saver} to ours"].predict({"sequences": ONE})


def test_an_example_of_labels_is_json(saved_by_both: Any, assert_same_everywhere: Any) -> None:
    request = {"sequences": ONE, "candidate_labels": ["x", "y"]}
    both = saved_by_both("zero-shot-classification", "example", input_example=dict(request))
    found = pyfunc.Model.load(both.folders["ours"]).signature
    assert found is not None
    assert found.inputs is not None
    assert found.inputs.input_names() == ["sequences", "candidate_labels"]
    assert_same_everywhere(both.predictions(request))


def test_a_pair_of_texts_is_classified(tiny: Any, ours: Any, tmp_path: Path) -> None:
    pair = {"text": ONE, "text_pair": "a dog"}
    pipeline = tiny.text_classification()
    ours.save_model(pipeline, tmp_path / "model", input_example=pair)
    model = pyfunc.load_model(tmp_path / "model")
    expected = pd.DataFrame(pipeline([pair, pair]))
    pd.testing.assert_frame_equal(model.predict([pair, pair]), expected)
    pd.testing.assert_frame_equal(model.predict(pair), expected.head(1))


@pytest.mark.parametrize("task", ["table-question-answering"])
def test_a_table_may_be_given_as_it_is(task: str, saved_by_both: Any) -> None:
    both = saved_by_both(task)
    model = both.models["mlflow to ours"]
    expected = model.predict({"query": "who is old", "table": TABLE})
    table = json.loads(TABLE)
    assert model.predict({"query": "who is old", "table": table}) == expected
    assert model.predict([{"query": "who is old", "table": table}] * 2) == expected * 2
    assert table == json.loads(TABLE)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("text-generation", [b"bytes"]),
        ("token-classification", b"bytes"),
        ("text-classification", pd.DataFrame({"other": [b"x"]})),
    ],
    ids=["bytes", "token_bytes", "cells"],
)
def test_what_is_no_text_is_refused(task: str, given: object, saved_by_both: Any) -> None:
    model = saved_by_both(task, **arguments_of(task)).models["mlflow to ours"]
    with pytest.raises((InvalidTypeError, SchemaError)):
        model.predict(given)


def test_the_prompt_is_left_out_if_asked_for(saved_by_both: Any) -> None:
    config = {**GREEDY, "include_prompt": False, "collapse_whitespace": True}
    both = saved_by_both("text-generation", "without", model_config=config)
    full = (
        saved_by_both("text-generation", model_config=GREEDY).models["ours to ours"].predict(TWO)
    )
    assert [text.startswith(prompt) for text, prompt in zip(full, TWO, strict=True)] == [
        True,
        True,
    ]
    cut = [text.removeprefix(prompt).strip() for text, prompt in zip(full, TWO, strict=True)]
    assert both.models["mlflow to ours"].predict(TWO) == cut


def test_options_of_the_call_go_over_the_configuration(
    tmp_path: Path, ours: Any, tiny: Any, mlflow: Any
) -> None:
    ours.save_model(
        tiny.text_generation(),
        tmp_path / "model",
        model_config=GREEDY,
        input_example=(ONE, {"max_new_tokens": 1}),
    )
    model = pyfunc.load_model(tmp_path / "model")
    long, short = model.predict(ONE, params={"max_new_tokens": 2}), model.predict(ONE)
    assert long[0].startswith(short[0])
    assert len(long[0]) > len(short[0])
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert theirs.predict(ONE, params={"max_new_tokens": 2}) == long


def test_an_unknown_option_is_named(saved_by_both: Any) -> None:
    config = {"no_such_option": 1}
    both = saved_by_both("text-generation", "unknown", model_config=config)
    model = both.models["mlflow to ours"]
    with pytest.raises(InvalidArgumentError, match="no_such_option"):
        model.predict(ONE)


@pytest.mark.parametrize("task", ["image-feature-extraction"])
def test_pipelines_that_mlflow_does_not_predict_with_answer(
    task: str, image: Path, saved_by_both: Any
) -> None:
    both = saved_by_both(task)
    assert both.models["ours to ours"].predict(str(image)).shape == (5, 8)
    assert both.models["mlflow to ours"].predict([str(image)] * 2).shape == (2, 5, 8)


def test_other_pipelines_are_called_as_they_take_it(
    image: Path, tiny: Any, ours: Any, tmp_path: Path
) -> None:
    ours.save_model(tiny.object_detection(), tmp_path / "model", model_config={"threshold": 0.0})
    model = pyfunc.load_model(tmp_path / "model", suppress_warnings=True)
    for given in (str(image), pd.DataFrame({"image": [str(image)]}), {"images": str(image)}):
        (boxes,) = model.predict(given)
        assert {"score", "label", "box"} == set(boxes[0])
