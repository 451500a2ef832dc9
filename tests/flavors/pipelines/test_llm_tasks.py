"""Models of the tasks ``llm/v1/*``: requests and answers of OpenAI's interface."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.errors import InvalidArgumentError, SchemaError
from pyfunc.schema import RequestReader, format_predictions

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.interop]

GREEDY = {"do_sample": False, "max_new_tokens": 6}
CHAT = {"messages": [{"role": "user", "content": "a good day"}]}
PROMPT = {"prompt": "a good day"}
TASKS = {
    "llm/v1/chat": ("text-generation", CHAT),
    "llm/v1/completions": ("text-generation", PROMPT),
    "llm/v1/embeddings": ("feature-extraction", {"input": "a good day"}),
}


def without_what_is_new(found: Any) -> Any:
    if isinstance(found, list):
        return [without_what_is_new(one) for one in found]
    if found["object"] == "list":
        vectors = [np.float64(one["embedding"]).round(4).tolist() for one in found["data"]]
        return found["usage"], vectors
    return {key: value for key, value in found.items() if key not in ("id", "created")}


@pytest.fixture(name="save_both")
def give_save_both(saved_by_both: Any) -> Any:
    def save(name: str) -> Any:
        config = {} if name == "llm/v1/embeddings" else {"model_config": GREEDY}
        return saved_by_both(TASKS[name][0], name, arguments={"task": name, **config})

    return save


@pytest.mark.parametrize("name", TASKS)
def test_what_is_saved_says_what_mlflow_says(name: str, save_both: Any) -> None:
    both = save_both(name)
    theirs, ours = (pyfunc.Model.load(both.folders[one]) for one in ("mlflow", "ours"))
    assert ours.signature is not None
    assert theirs.signature is not None
    assert ours.signature.to_dict() == theirs.signature.to_dict()
    assert ours.metadata == theirs.metadata == {"task": name}
    assert ours.flavors["transformers"] == theirs.flavors["transformers"]


@pytest.mark.parametrize(
    ("name", "request_of"),
    [
        ("llm/v1/chat", {**CHAT, "max_tokens": 4}),
        ("llm/v1/chat", [{**CHAT, "max_tokens": 3}]),
        ("llm/v1/completions", {**PROMPT, "max_tokens": 4}),
        ("llm/v1/completions", pd.DataFrame({"prompt": ["a", "good"], "max_tokens": [2, 2]})),
        ("llm/v1/embeddings", {"input": "a good day"}),
        ("llm/v1/embeddings", {"input": ["a good day", "a dog"]}),
        ("llm/v1/embeddings", pd.DataFrame({"input": ["a", "good"]})),
    ],
)
def test_both_answer_a_request_alike(name: str, request_of: Any, save_both: Any) -> None:
    found = {
        who: without_what_is_new(answer)
        for who, answer in save_both(name).predictions(request_of).items()
    }
    assert all(answer == found["mlflow to mlflow"] for answer in found.values()), found


def complete(save_both: Any, **request: Any) -> Any:
    return (
        save_both("llm/v1/completions").models["mlflow to ours"].predict({**PROMPT, **request})[0]
    )


def test_an_answer_has_what_openai_has(save_both: Any) -> None:
    model = save_both("llm/v1/chat").models["mlflow to ours"]
    (first,), (second,) = model.predict(CHAT), model.predict(CHAT)
    assert list(first) == ["id", "object", "created", "model", "usage", "choices"]
    assert first["id"] != second["id"]
    assert first["choices"][0]["message"].keys() == {"role", "content"}
    json.dumps(first)


def test_tokens_are_counted_as_they_were_made(save_both: Any) -> None:
    answer = complete(save_both, max_tokens=2)
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_text_without_a_limit_that_is_reached_says_so(save_both: Any) -> None:
    # the limit is in the configuration, six tokens
    answer = complete(save_both)
    assert answer["usage"]["completion_tokens"] == 6
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_text_ends_before_what_stops_it(save_both: Any) -> None:
    whole = complete(save_both)["choices"][0]["text"]
    word = whole.split()[1]
    for stop in ([word], [word, "never"]):
        choice = complete(save_both, stop=stop)["choices"][0]
        assert choice["text"] == whole[: whole.index(word)]
        assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("stop", [[], [""], None])
def test_nothing_stops_nothing(stop: object, save_both: Any) -> None:
    found, whole = complete(save_both, stop=stop), complete(save_both)
    assert without_what_is_new(found) == without_what_is_new(whole)


def test_n_is_how_many_choices_there_are(save_both: Any) -> None:
    answer = complete(save_both, n=3, max_tokens=2)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] <= 6


def test_what_openai_clients_send_is_taken(save_both: Any) -> None:
    model = save_both("llm/v1/chat").models["mlflow to ours"]
    plain = model.predict({**CHAT, "max_tokens": 3})
    more = {"temperature": 0.0, "stream": False, "n": 1, "presence_penalty": 0.0, "top_p": 1.0}
    found = model.predict({**CHAT, "max_tokens": 3, **more})
    assert without_what_is_new(found) == without_what_is_new(plain)


def test_a_penalty_has_no_effect_and_a_warning(
    save_both: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = save_both("llm/v1/chat").models["mlflow to ours"]
    model.predict({**CHAT, "frequency_penalty": 0.5})
    assert "frequency_penalty" in caplog.text


@pytest.mark.parametrize("name", ["llm/v1/chat", "llm/v1/completions"])
@pytest.mark.parametrize(
    "given", ["text", ["text"], CHAT["messages"]], ids=["text", "texts", "messages"]
)
def test_what_is_no_request_is_refused(name: str, given: object, save_both: Any) -> None:
    with pytest.raises(SchemaError):
        save_both(name).models["mlflow to ours"].predict(given)


def test_a_tokenizer_without_a_template_is_named(tiny: Any, ours: Any, tmp_path: Path) -> None:
    pipeline = tiny.text_generation(template=None)
    ours.save_model(pipeline, tmp_path / "model", task="llm/v1/chat")
    with pytest.raises(InvalidArgumentError, match="chat template"):
        pyfunc.load_model(tmp_path / "model").predict(CHAT)


@pytest.mark.parametrize("name", TASKS)
def test_requests_of_http_are_answered_as_json(name: str, save_both: Any) -> None:
    model = save_both(name).models["ours to ours"]
    body = json.dumps(TASKS[name][1])
    request = RequestReader(model.input_schema, model.params_schema).parse_json(body)
    answer = json.loads(format_predictions(model.predict(request.data)))
    assert "usage" in json.dumps(answer)


@pytest.mark.parametrize("name", TASKS)
def test_parts_alone_need_no_other_task(name: str, tiny: Any, ours: Any, tmp_path: Path) -> None:
    pipeline = tiny.BUILDERS[TASKS[name][0]]()
    parts = {"model": pipeline.model, "tokenizer": pipeline.tokenizer}
    config = {} if name == "llm/v1/embeddings" else {"model_config": GREEDY}
    ours.save_model(parts, tmp_path / "model", task=name, metadata={"owner": "me"}, **config)
    assert pyfunc.Model.load(tmp_path / "model").metadata == {"owner": "me", "task": name}
    assert pyfunc.load_model(tmp_path / "model").predict(TASKS[name][1])


def test_a_task_that_the_pipeline_cannot_do_is_refused(
    tiny: Any, ours: Any, tmp_path: Path
) -> None:
    for task in ("llm/v1/embeddings", "llm/v1/other"):
        with pytest.raises(InvalidArgumentError, match="task"):
            ours.save_model(tiny.text_generation(), tmp_path / "model", task=task)
    assert not (tmp_path / "model").exists()


def test_the_signature_is_not_the_callers(tiny: Any, ours: Any, tmp_path: Path) -> None:
    other = pyfunc.infer_signature("a", "b")
    with pytest.raises(InvalidArgumentError, match="signature"):
        ours.save_model(
            tiny.text_generation(), tmp_path / "model", task="llm/v1/chat", signature=other
        )
