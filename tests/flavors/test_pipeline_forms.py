"""What pipelines are given and what they answer, where their library is not needed for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError
from pyfunc.flavors.pipelines import answers, forms, given, llm, media
from pyfunc.flavors.pipelines.answers import Asked
from pyfunc.flavors.pipelines.hub import is_of_the_hub
from pyfunc.flavors.pipelines.llm_signatures import llm_task_named
from pyfunc.flavors.pipelines.parts import check_task_is_there
from pyfunc.flavors.pipelines.predictor import PipelinePredictor
from pyfunc.flavors.pipelines.tasks import relaxed_inputs, signature_of_task

ONE, TWO = "a", ["a", "b"]
QUESTION = {"question": "q", "context": "c"}
TABLE = {"name": ["ann", "bob"], "age": ["1", "2"]}


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        pytest.param("a", ["a"], id="text"),
        pytest.param(TWO, TWO, id="list"),
        pytest.param(("a", "b"), TWO, id="tuple"),
        pytest.param({"any": "a"}, ["a"], id="mapping"),
        pytest.param([{"x": "a", "y": "z"}, {"x": "b"}], TWO, id="mappings"),
        pytest.param(pd.DataFrame({"column": TWO}), TWO, id="frame"),
        pytest.param(pd.DataFrame({0: TWO, 1: ["z", "z"]}), TWO, id="first_column"),
        pytest.param(pd.Series(TWO), TWO, id="series"),
        pytest.param(np.array(TWO), TWO, id="array"),
        pytest.param(np.array([["a"], ["b"]], dtype=object), TWO, id="objects"),
        pytest.param([], [], id="none"),
    ],
)
def test_every_form_of_texts_is_a_list_of_them(data: object, texts: list[str]) -> None:
    assert forms.read_texts(data) == texts


@pytest.mark.parametrize("data", [3, b"a", [b"a"], ["a", 3], [None], [{}], {"x": ["a"]}, {"x": 1}])
@pytest.mark.parametrize(
    "read",
    [forms.read_texts, forms.read_pairs, forms.read_joined_texts],
    ids=["texts", "pairs", "joined"],
)
def test_what_is_no_text_is_refused(read: Any, data: object) -> None:
    with pytest.raises(InvalidTypeError, match="expected a text"):
        read(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"context": "x", "answer": "y"}, "context: x answer: y", id="named"),
        pytest.param({0: "x"}, "x", id="position"),
        pytest.param({"inputs": "x"}, "x", id="inputs"),
        pytest.param("x", "x", id="text"),
    ],
)
def test_names_are_part_of_a_joined_text(data: object, text: str) -> None:
    assert forms.read_joined_texts(data) == [text]


def test_a_pair_stays_a_pair_and_one_text_a_text() -> None:
    pair = {"text": "a", "text_pair": "b"}
    assert forms.read_pairs([pair, {"text": "a"}, "c"]) == [pair, "a", "c"]
    with pytest.raises(InvalidTypeError, match="text_pair"):
        forms.read_pairs({"text": "a", "other": "b"})


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (QUESTION, 1),
        ([QUESTION, QUESTION], 2),
        (pd.DataFrame([QUESTION, QUESTION]), 2),
        ({"question": ["q", "r"], "context": ["c", "d"]}, 2),
        ({"question": ["q", "r"], "context": "c"}, 2),
        ({**QUESTION, "other": "x"}, 1),
    ],
)
def test_every_form_of_questions_is_a_list_of_them(data: object, count: int) -> None:
    found = forms.read_questions(data)
    assert len(found) == count
    assert found[0] == QUESTION


@pytest.mark.parametrize(
    "data", ["q", {"question": "q"}, {"question": ["q", "r"], "context": ["c", "d", "e"]}]
)
def test_what_is_no_question_is_refused(data: object) -> None:
    with pytest.raises(PyfuncError, match="question"):
        forms.read_questions(data)


@pytest.mark.parametrize("labels", [["x", "y"], '["x", "y"]', np.array(["x", "y"]), ("x", "y")])
def test_labels_may_be_a_list_or_its_json(labels: object) -> None:
    for data in (
        {"sequences": "a", "candidate_labels": labels},
        [{"sequences": "a", "candidate_labels": labels}],
        pd.DataFrame({"sequences": ["a"], "candidate_labels": [labels]}),
    ):
        (found,) = forms.read_label_requests(data)
        assert found == {"sequences": "a", "candidate_labels": ["x", "y"]}


def test_each_row_has_labels_of_its_own() -> None:
    frame = pd.DataFrame({"sequences": TWO, "candidate_labels": ['["x"]', '["y", "z"]']})
    found = forms.read_label_requests(frame)
    assert [one["candidate_labels"] for one in found] == [["x"], ["y", "z"]]


def test_labels_one_a_row_are_for_all_sequences() -> None:
    frame = pd.DataFrame(
        {"sequences": ["a", "a"], "candidate_labels": ["x", "y"], "hypothesis_template": "t {}"}
    )
    (found,) = forms.read_label_requests(frame)
    assert found["candidate_labels"] == ["x", "y"]
    assert found["sequences"] == "a"
    assert found["hypothesis_template"] == "t {}"


@pytest.mark.parametrize("table", [TABLE, str(TABLE), '{"name": ["ann", "bob"], "age": [1, 2]}'])
def test_a_table_may_be_a_mapping_or_a_text(table: object) -> None:
    found = forms.read_table_questions({"query": ["who", "what"], "table": table})
    assert found == [{"query": "who", "table": TABLE}, {"query": "what", "table": TABLE}]


def test_a_table_that_became_rows_is_a_table_again() -> None:
    # what pandas makes of {"query": "who", "table": TABLE}
    frame = pd.DataFrame({"query": "who", "table": TABLE})
    assert forms.read_table_questions(frame) == [{"query": "who", "table": TABLE}]
    with pytest.raises(InvalidArgumentError, match="table"):
        forms.read_table_questions({"query": "who", "table": "nothing"})


def test_sound_is_samples_for_each_input() -> None:
    samples = np.zeros(3, dtype=np.float32)
    assert media.read_sounds(samples)[0] is samples
    assert len(media.read_sounds(np.zeros((2, 3), dtype=np.float32))) == 2
    assert len(media.read_sounds([samples, samples])) == 2
    known = {"raw": samples, "sampling_rate": 8000}
    assert media.read_sounds([known]) == [known]


@pytest.mark.parametrize("data", [b"RIFF", [b"RIFF"], pd.DataFrame({0: [b"UklGRg=="]}), __file__])
def test_files_of_sound_need_ffmpeg(data: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # as on a machine without it
    with pytest.raises(PyfuncError, match="ffmpeg") as caught:
        media.read_sounds(data)
    assert "install ffmpeg" in caught.value.hint


@pytest.mark.parametrize("content", [b"RIFF\0", b"UklGRgA=", bytearray(b"RIFF\0")])
def test_bytes_of_sound_are_left_to_ffmpeg(
    content: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")  # as where it is installed
    assert media.read_sounds(content) == [b"RIFF\0"]


@pytest.mark.parametrize("data", ["YWJj", "no/such/file.wav"])
def test_text_that_is_no_sound_is_a_bad_request(data: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        media.read_sounds(data)
    assert caught.value.error_code == "BAD_REQUEST"


@pytest.mark.parametrize("data", [3, None, [{"x": 3}]])
def test_what_is_nothing_to_see_or_hear_is_refused(data: object) -> None:
    for read in (media.read_images, media.read_sounds):
        with pytest.raises(InvalidTypeError):
            read(data)


@pytest.mark.parametrize(
    "data", [__file__, "https://some.where/cat.png", "data:image/png;base64,"]
)
def test_places_of_images_are_left_to_the_library(data: object) -> None:
    assert media.read_images(data) == [data]


def ask(*items: object, **options: object) -> Asked:
    return Asked(items, options)


def test_one_text_is_answered_for_each_input() -> None:
    found = [[{"generated_text": " a b"}, {"generated_text": "a c"}], [{"generated_text": "x"}]]
    assert answers.generated_texts(found, ask("a", "x")) == ["a b", "x"]
    assert answers.generated_texts(found, ask(" a", "y", include_prompt=False)) == ["b", "x"]
    wide = [[{"generated_text": "a \n b"}]]
    assert answers.generated_texts(wide, ask("a", collapse_whitespace=True)) == ["a b"]


def test_masks_are_answered_with_their_best_tokens() -> None:
    mask = [{"token_str": "x"}, {"token_str": "y"}]
    assert answers.best_tokens(mask, ask("one")) == ["x"]
    assert answers.best_tokens([mask, mask], ask("one with two")) == ["x", "x"]
    assert answers.best_tokens([mask, mask], ask("one", "two")) == ["x", "x"]
    assert answers.best_tokens([[mask, mask], mask], ask("one", "two")) == [["x", "x"], "x"]
    assert answers.best_tokens([], ask()) == []


def test_a_text_without_labels_has_an_empty_answer() -> None:
    found = [[{"entity": "A"}, {"entity": "B"}], [], [{"entity_group": "C"}]]
    assert answers.labels_of_tokens(found, ask(1, 2, 3)) == ["A,B", "", "C"]


@pytest.mark.parametrize("answer", [answers.labels_with_scores, answers.scores_with_labels])
def test_labels_are_rows_however_deep_they_lie(answer: Any) -> None:
    label = {"label": "x", "score": 0.5}
    for found in ([label, label], [[label], [label]], [[label, label]]):
        assert answer(found, ask())["label"].tolist() == ["x", "x"]
    assert answer([], ask()).columns.tolist() == answer([label], ask()).columns.tolist()


def test_features_are_one_array_where_they_can_be() -> None:
    short, long = [[[0.0, 1.0]]], [[[0.0, 1.0], [2.0, 3.0]]]
    assert answers.vectors([short], ask()).shape == (1, 2)  # type: ignore[attr-defined]
    assert answers.vectors([long, long], ask()).shape == (2, 2, 2)  # type: ignore[attr-defined]
    assert [one.shape for one in answers.vectors([short, long], ask())] == [(1, 2), (2, 2)]  # type: ignore[attr-defined]


def test_a_translation_from_one_language_is_a_translation() -> None:
    expected = signature_of_task("translation")
    assert expected is not None
    assert signature_of_task("translation_en_to_de") == expected
    assert signature_of_task("ner") == signature_of_task("token-classification")
    assert signature_of_task("object-detection") is None


def test_the_template_of_labels_need_not_be_given() -> None:
    signature = signature_of_task("zero-shot-classification")
    assert signature is not None
    relaxed = relaxed_inputs("zero-shot-classification", signature.inputs)
    assert relaxed is not None
    assert [(column.name, column.required) for column in relaxed.inputs] == [
        ("sequences", True),
        ("candidate_labels", True),
        ("hypothesis_template", False),
    ]
    assert relaxed_inputs("text-classification", signature.inputs) is signature.inputs
    assert relaxed_inputs("zero-shot-classification", None) is None


def library_of(version: str, *tasks: str) -> Any:
    pipelines = SimpleNamespace(get_supported_tasks=lambda: list(tasks))
    return SimpleNamespace(__version__=version, pipelines=pipelines)


def test_a_task_that_is_gone_is_told_with_what_has_it() -> None:
    library = library_of("5.24.0", "fill-mask")
    assert check_task_is_there(library, "fill-mask", "4.57.6") is None
    told = check_task_is_there(library, "summarization", "4.57.6")
    assert told == (
        "transformers 5.24.0 has no pipelines of the task 'summarization', the model was saved "
        "with 4.57.6\nhint: pip install 'transformers==4.57.6'"
    )
    told = check_task_is_there(library, "translation_en_to_de", None)
    assert told is not None
    assert told.endswith("pip install 'transformers<5'")
    assert (
        check_task_is_there(library_of("4.57.6", "translation"), "translation_a_to_b", 1) is None
    )


class Recorder:
    """A pipeline of the task ``task`` that answers with ``found``, and keeps what it was asked."""

    def __init__(self, task: str, found: object) -> None:
        self.task = task
        self.found = found
        self.asked: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def __call__(self, *items: object, **options: object) -> object:
        self.asked.append((items, options))
        return self.found


def test_nothing_is_asked_about_nothing() -> None:
    for task in ("text-generation", "question-answering", "zero-shot-classification"):
        pipeline = Recorder(task, None)
        assert len(PipelinePredictor(pipeline).predict([])) == 0  # type: ignore[arg-type]
        assert pipeline.asked == []


def test_parameters_go_over_the_configuration_and_ours_stay_here() -> None:
    pipeline = Recorder("text-generation", [[{"generated_text": "x a y"}]])
    config = {"include_prompt": False, "top_k": 1, "top_p": 0.5}
    model = PipelinePredictor(pipeline, config, prompt_template="x {prompt}")
    assert model.predict("a", {"top_k": 2}) == ["y"]
    assert pipeline.asked == [((["x a"],), {"top_k": 2, "top_p": 0.5})]
    assert config == {"include_prompt": False, "top_k": 1, "top_p": 0.5}
    assert model.get_raw_model() is pipeline


def test_only_images_are_asked_for_one_label() -> None:
    label = [{"label": "x", "score": 0.5}]
    pipeline = Recorder("image-classification", [label])
    PipelinePredictor(pipeline).predict(__file__)
    PipelinePredictor(pipeline, {"top_k": 3}).predict(__file__)
    assert [options for _, options in pipeline.asked] == [{"top_k": 1}, {"top_k": 3}]


def test_a_request_of_embeddings_is_a_text_or_texts() -> None:
    assert llm.read_embedding_inputs({"input": "a"}) == ["a"]
    assert llm.read_embedding_inputs({"input": np.array(TWO)}) == TWO
    assert llm.read_embedding_inputs(pd.DataFrame({"input": TWO})) == TWO
    refused: list[object] = [{"other": "a"}, {"input": 3}, {"input": []}, {"input": None}, "a"]
    for wrong in refused:
        with pytest.raises(InvalidArgumentError):
            llm.read_embedding_inputs(wrong)
    answer = llm.to_embeddings([np.array([0.5, 1.0], dtype=np.float32)], 3)
    assert answer == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize("name", ["llm/v1/other", "llm/v1", "chat", None])
def test_an_unknown_task_is_refused_with_those_there_are(name: object) -> None:
    with pytest.raises(InvalidArgumentError, match="llm/v1/embeddings"):
        llm_task_named(name)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("gpt2", True), ("org/model-1.5", True), ("", False), ("/a/b", False), ("a/b/c", False)],
)
def test_names_of_repositories_are_known(name: str, is_one: bool) -> None:
    assert is_of_the_hub(name) is is_one


def test_what_is_said_goes_into_the_metadata_beside_what_is_there() -> None:
    arguments: Any = {"metadata": {"a": 1}}
    given.describe_task(arguments, "llm/v1/chat", task="llm/v1/chat", prompt_template=None)
    assert arguments == {"metadata": {"a": 1, "task": "llm/v1/chat"}}
    nothing: Any = {}
    given.describe_task(nothing, None, task=None)
    assert nothing == {}
    with pytest.raises(InvalidTypeError, match="metadata"):
        given.describe_task({"metadata": "text"}, "t", task="t")


def test_an_example_of_labels_is_saved_as_json() -> None:
    example = {"sequences": "a", "candidate_labels": ["x"]}
    found = given.write_example("zero-shot-classification", (example, {"multi_label": True}))
    assert found == ({"sequences": "a", "candidate_labels": '["x"]'}, {"multi_label": True})
    assert example["candidate_labels"] == ["x"]
    assert given.write_example("text-classification", example) is example
