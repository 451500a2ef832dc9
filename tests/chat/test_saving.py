"""Saving chats: what is on disk, what is refused, and what MLflow makes of it."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import yaml

import pyfunc
from pyfunc.types import agent, llm, responses
from tests.chat.echoes import ECHOES, EchoAgent, EchoModel, EchoResponses

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "mlflow-3.17-chat"
HI = [{"role": "user", "content": "hi"}]
DEFAULTS = {
    "model": {
        "messages": [{"role": "user", "content": "Hello!"}],
        "temperature": 1.0,
        "max_tokens": 10,
        "stop": ["\n"],
        "n": 1,
        "stream": False,
    },
    "agent": {"messages": [{"role": "user", "content": "Hello!"}]},
    "responses": {"input": [{"role": "user", "content": "Hello!"}]},
}
NAMES = {"model": "chat_model", "agent": "chat_agent", "responses": "responses_agent"}
TASKS = {"model": "agent/v1/chat", "agent": "agent/v2/chat", "responses": "agent/v1/responses"}

kinds = pytest.mark.parametrize("kind", ECHOES)


def save_by_value(path: Path, model: object, **options: Any) -> Path:
    """Save a model whose class goes into the pickle, as one of a notebook does."""
    module = sys.modules[type(model).__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        pyfunc.save_model(path, python_model=model, pip_requirements=[], **options)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    return path


def mlmodel(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())
    return found


@kinds
def test_the_description_is_that_of_mlflow(echoes: dict[str, Path], kind: str) -> None:
    ours, theirs = mlmodel(echoes[kind]), mlmodel(GOLDEN / NAMES[kind] / "model")
    assert ours["signature"] == theirs["signature"]
    for key in ("metadata", "is_signature_from_type_hint", "saved_input_example_info"):
        assert ours[key] == theirs[key]
    sections = [each["flavors"]["python_function"] for each in (ours, theirs)]
    for key in ("loader_module", "streamable", "python_model", "env", "code"):
        assert sections[0][key] == sections[1][key]


@kinds
def test_the_example_files(echoes: dict[str, Path], kind: str) -> None:
    text = (echoes[kind] / "input_example.json").read_text()
    assert text == json.dumps(DEFAULTS[kind])
    served = (echoes[kind] / "serving_input_example.json").read_text()
    assert served == json.dumps(DEFAULTS[kind], indent=2)


@kinds
@pytest.mark.parametrize("signature", [False, pyfunc.infer_signature(["a"])])
def test_a_signature_is_refused(tmp_path: Path, kind: str, signature: Any) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="leave the argument out"):
        save_by_value(tmp_path / "m", ECHOES[kind](), signature=signature)
    assert not (tmp_path / "m").exists()


@kinds
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {"task": None}),
        ({"metadata": {"a": 1}}, {"a": 1, "task": None}),
        ({"metadata": {"task": "x"}}, {"task": "x"}),
        ({"mlflow_model": {"k": 1}}, {"k": 1, "task": None}),
        ({"mlflow_model": {"task": "x"}}, {"task": "x"}),
    ],
    ids=["none", "given", "own-task", "of-a-model", "own-task-of-a-model"],
)
def test_the_task_is_in_the_metadata(
    tmp_path: Path, kind: str, given: dict[str, Any], found: dict[str, Any]
) -> None:
    if "mlflow_model" in given:
        given = {"mlflow_model": pyfunc.Model(metadata=given["mlflow_model"])}
    save_by_value(tmp_path / "m", ECHOES[kind](), **given)
    expected = {key: value or TASKS[kind] for key, value in found.items()}
    assert mlmodel(tmp_path / "m")["metadata"] == expected


@kinds
@pytest.mark.parametrize("streamable", [None, True, False])
def test_what_streams(tmp_path: Path, kind: str, streamable: bool | None) -> None:
    save_by_value(tmp_path / "m", ECHOES[kind](), streamable=streamable)
    section = mlmodel(tmp_path / "m")["flavors"]["python_function"]
    assert section["streamable"] is (streamable is not False)
    if streamable is False:
        with pytest.raises(pyfunc.PyfuncError, match="does not support"):
            next(pyfunc.load_model(tmp_path / "m").predict_stream(DEFAULTS[kind]))


MESSAGE = {"role": "user", "content": "q"}
EXAMPLES: list[tuple[str, Any, Any]] = [
    ("model", HI, {"messages": HI}),
    ("model", [llm.ChatMessage("user", "q")], {"messages": [MESSAGE]}),
    (
        "model",
        {"messages": HI, "temperature": 0.5, "zzz": 1},
        {"messages": HI, "temperature": 0.5},
    ),
    ("model", ({"messages": HI}, {"top_p": 0.5}), {"messages": HI, "top_p": 0.5}),
    ("model", ({"messages": HI}, {"zzz": 0.5}), {"messages": HI, "zzz": 0.5}),
    ("model", {"messages": [{**HI[0], "zzz": 1}]}, {"messages": HI}),
    ("model", {}, DEFAULTS["model"]),
    ("model", [], DEFAULTS["model"]),
    (
        "model",
        llm.ChatCompletionRequest(messages=[llm.ChatMessage("user", "q")]),
        {"temperature": 1.0, "n": 1, "stream": False, "messages": [MESSAGE]},
    ),
    ("agent", {}, DEFAULTS["agent"]),
    (
        "agent",
        agent.ChatAgentRequest.model_validate({"messages": [MESSAGE]}),
        {"messages": [MESSAGE], "stream": False},
    ),
    ("agent", {"messages": HI, "zzz": 1}, {"messages": HI, "zzz": 1}),
    (
        "agent",
        {"messages": HI, "context": {"user_id": "u"}},
        {"messages": HI, "context": {"user_id": "u"}},
    ),
    ("responses", {}, DEFAULTS["responses"]),
    (
        "responses",
        responses.ResponsesAgentRequest.model_validate({"input": HI}),
        {"input": [{"content": "hi", "role": "user", "type": "message"}]},
    ),
    ("responses", {"input": HI, "zzz": 1}, {"input": HI, "zzz": 1}),
    (
        "responses",
        {"input": HI, "tools": [{"type": "function", "name": "a", "parameters": {}}]},
        {"input": HI, "tools": [{"type": "function", "name": "a", "parameters": {}}]},
    ),
]


@pytest.mark.parametrize(
    ("kind", "given", "saved"),
    [pytest.param(*row, id=f"{row[0]}-{at}") for at, row in enumerate(EXAMPLES)],
)
def test_an_example_is_completed(tmp_path: Path, kind: str, given: Any, saved: Any) -> None:
    path = save_by_value(tmp_path / "m", ECHOES[kind](), input_example=given)
    assert json.loads((path / "input_example.json").read_text()) == saved


BAD_EXAMPLES: list[tuple[str, Any, type[Exception]]] = [
    ("model", 5, TypeError),
    ("model", {"temperature": 0.5}, ValueError),
    ("model", {"messages": HI, "temperature": 1}, ValueError),
    ("model", {"messages": [{"role": "user"}]}, ValueError),
    ("model", pd.DataFrame({"messages": [HI]}), ValueError),
    ("agent", 5, ValueError),
    ("agent", HI, ValueError),
    ("agent", ({"messages": HI}, {}), ValueError),
    ("agent", {"messages": [{"role": "user"}]}, ValueError),
    ("agent", {"messages": [{"role": "user", "content": 5}]}, ValueError),
    ("agent", pd.DataFrame({"messages": [HI]}), ValueError),
    ("responses", {"input": "hi"}, ValueError),
    ("responses", {"messages": HI}, ValueError),
    ("responses", {"input": HI, "max_output_tokens": "1"}, ValueError),
]


@pytest.mark.parametrize(
    ("kind", "given", "error"),
    [pytest.param(*row, id=f"{row[0]}-{at}") for at, row in enumerate(BAD_EXAMPLES)],
)
def test_what_is_no_request_is_refused(
    tmp_path: Path, kind: str, given: Any, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        save_by_value(tmp_path / "m", ECHOES[kind](), input_example=given)
    assert isinstance(caught.value, pyfunc.PyfuncError)
    assert not (tmp_path / "m").exists()


def chat_that_answers(kind: str, answer: Callable[[], Any]) -> Any:
    class Model(pyfunc.ChatModel):
        def predict(self, context: Any, messages: Any, params: Any) -> Any:
            return answer()

    class Agent(pyfunc.ChatAgent):
        def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
            return answer()

    class Responses(pyfunc.ResponsesAgent):
        def predict(self, request: Any) -> Any:
            return answer()

    made: dict[str, type[Any]] = {"model": Model, "agent": Agent, "responses": Responses}
    return made[kind]()


async def coroutine() -> str:
    return "never awaited"


SPOKEN = {"role": "assistant", "content": "a"}
BAD_ANSWERS: list[tuple[str, Callable[[], Any]]] = [
    ("model", lambda: {"choices": []}),
    ("model", lambda: None),
    ("model", coroutine),
    ("agent", lambda: {"messages": [SPOKEN]}),
    ("agent", lambda: {"messages": [{**SPOKEN, "id": "1"}] * 2}),
    ("agent", lambda: {"messages": [], "usage": {"prompt_tokens": "1"}}),
    ("agent", lambda: "text"),
    ("agent", coroutine),
    ("responses", dict),
    ("responses", lambda: {"output": [{"type": "odd"}]}),
    ("responses", lambda: {"output": [{"type": "message", "id": "1", "role": "user"}]}),
    ("responses", coroutine),
]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [pytest.param(*row, id=f"{row[0]}-{at}") for at, row in enumerate(BAD_ANSWERS)],
)
def test_what_is_no_answer_is_refused(
    tmp_path: Path, kind: str, answer: Callable[[], Any]
) -> None:
    with pytest.raises(pyfunc.PyfuncError, match="predict") as caught:
        pyfunc.save_model(
            tmp_path / "m", python_model=chat_that_answers(kind, answer), pip_requirements=[]
        )
    assert caught.value.error_code == "INTERNAL_ERROR"
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("kind", "answer", "loaded"),
    [
        ("agent", {"messages": []}, {"messages": []}),
        (
            "agent",
            {"messages": [{**SPOKEN, "id": "1", "name": None}], "zzz": 1},
            {"messages": [{**SPOKEN, "id": "1", "name": None}], "zzz": 1},
        ),
        ("responses", {"output": []}, {"output": []}),
    ],
)
def test_a_dict_is_an_answer_as_it_is(tmp_path: Path, kind: str, answer: Any, loaded: Any) -> None:
    chat = chat_that_answers(kind, lambda: answer)
    pyfunc.save_model(tmp_path / "m", python_model=chat, pip_requirements=[])
    assert pyfunc.load_model(tmp_path / "m").predict(DEFAULTS[kind]) == loaded


@kinds
def test_what_the_model_raises_passes(tmp_path: Path, kind: str) -> None:
    def fail() -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        pyfunc.save_model(
            tmp_path / "m", python_model=chat_that_answers(kind, fail), pip_requirements=[]
        )
    assert not (tmp_path / "m").exists()


@kinds
def test_a_class_is_no_model(tmp_path: Path, kind: str) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="instance"):
        pyfunc.save_model(tmp_path / "m", python_model=ECHOES[kind], pip_requirements=[])


@pytest.mark.parametrize("base", [pyfunc.ChatModel, pyfunc.ChatAgent, pyfunc.ResponsesAgent])
def test_a_class_without_predict_makes_no_instance(base: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Bare", (base,), {})()


def test_the_context_may_have_any_name_or_be_left_out(tmp_path: Path) -> None:
    class Named(pyfunc.ChatModel):
        def predict(self, ctx: Any, messages: Any, params: Any) -> Any:
            text = type(ctx).__name__
            return llm.ChatCompletionResponse([llm.ChatChoice(llm.ChatMessage("a", text))])

    class Without(pyfunc.ChatModel):
        def predict(self, messages: Any, params: Any) -> Any:
            text = messages[0].content
            return llm.ChatCompletionResponse([llm.ChatChoice(llm.ChatMessage("a", text))])

    for model, text in ((Named(), "PythonModelContext"), (Without(), "Hello!")):
        path = tmp_path / type(model).__name__
        pyfunc.save_model(path, python_model=model, pip_requirements=[])
        answer = pyfunc.load_model(path).predict(DEFAULTS["model"])
        assert answer["choices"][0]["message"]["content"] == text


def test_artifacts_and_configuration_reach_load_context(tmp_path: Path) -> None:
    class Reading(pyfunc.ChatAgent):
        def load_context(self, context: Any) -> None:
            self.fact = Path(context.artifacts["fact"]).read_text() + context.model_config["end"]

        def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
            message = agent.ChatAgentMessage(role="assistant", content=self.fact, id="1")
            return agent.ChatAgentResponse(messages=[message])

    (tmp_path / "fact.txt").write_text("42")
    pyfunc.save_model(
        tmp_path / "m",
        python_model=Reading(),
        artifacts={"fact": str(tmp_path / "fact.txt")},
        model_config={"end": "!"},
        pip_requirements=[],
    )
    loaded = pyfunc.load_model(tmp_path / "m", model_config={"end": "?"})
    assert loaded.predict(DEFAULTS["agent"])["messages"][0]["content"] == "42?"
    assert "fact" not in vars(Reading())


def test_methods_take_a_request_as_a_dict() -> None:
    told = json.loads(EchoAgent().predict({"messages": HI, "zzz": 1}).messages[0].content)
    assert told == {"messages": HI, "context": None, "custom_inputs": None}
    parts = list(EchoAgent().predict_stream({"messages": [{"role": "user", "content": "a b"}]}))
    assert [part.delta.content for part in parts] == ["a", "b"]
    answer = EchoResponses().predict({"input": HI})
    assert "hi" in answer.output[0].content[0]["text"]
    for chat, bad in ((EchoAgent(), {}), (EchoResponses(), {"input": "hi"})):
        with pytest.raises(pyfunc.SchemaError, match="request of a") as caught:
            chat.predict(bad)
        assert caught.value.error_code == "INTERNAL_ERROR"


def test_other_calls_of_methods_pass_as_they_are() -> None:
    messages = [agent.ChatAgentMessage(role="user", content="a")]
    assert EchoAgent().predict(messages) == EchoAgent().predict(messages=messages)
    request = responses.ResponsesAgentRequest.model_validate({"input": HI})
    assert EchoResponses().predict(request) == EchoResponses().predict({"input": HI})
    with pytest.raises(AttributeError):
        EchoModel().predict(None, [{"role": "user"}], None)


SCRIPTS = {
    "model": """
from {root}.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage
class Scripted({name}.ChatModel):
    def predict(self, context, messages, params):
        text = f"{{len(messages)}} {{params.max_tokens}}"
        return ChatCompletionResponse([ChatChoice(ChatMessage("assistant", text))], created=1)
""",
    "agent": """
from {root}.types.agent import ChatAgentMessage, ChatAgentResponse
class Scripted({name}.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        told = ChatAgentMessage(role="a", content=str(len(messages)), id="1")
        return ChatAgentResponse(messages=[told])
""",
    "responses": """
from {root}.types.responses import ResponsesAgentResponse
class Scripted({name}.ResponsesAgent):
    def predict(self, request):
        item = self.create_text_output_item(str(len(request.input)), "1")
        return ResponsesAgentResponse(output=[item])
""",
}


def script(path: Path, kind: str, root: str) -> Path:
    name = "pyfunc" if root == "pyfunc" else "mlflow.pyfunc"
    set_model = "pyfunc.set_model" if root == "pyfunc" else "mlflow.models.set_model"
    text = (
        f"import {root}\n{SCRIPTS[kind].format(root=root, name=name)}\n{set_model}(Scripted())\n"
    )
    path.write_text(text)
    return path


@kinds
@pytest.mark.parametrize("root", ["pyfunc", "mlflow"])
def test_a_script_makes_a_chat(tmp_path: Path, kind: str, root: str) -> None:
    written = script(tmp_path / "chat.py", kind, root)
    pyfunc.save_model(
        tmp_path / "m", python_model=written, pip_requirements=[], input_example=DEFAULTS[kind]
    )
    described = mlmodel(tmp_path / "m")
    assert described["flavors"]["python_function"]["loader_module"].endswith("code_model")
    assert described["metadata"] == {"task": TASKS[kind]}
    assert "1" in json.dumps(pyfunc.load_model(tmp_path / "m").predict(DEFAULTS[kind]))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@kinds
def test_mlflow_answers_the_same(
    echoes: dict[str, Path], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its tracing of responses agents writes into the working directory.
    monkeypatch.chdir(tmp_path)
    theirs = mlflow.pyfunc.load_model(str(echoes[kind]))
    ours = pyfunc.load_model(echoes[kind])
    assert theirs.predict(DEFAULTS[kind]) == ours.predict(DEFAULTS[kind])
    raw = theirs.get_raw_model()
    assert type(raw).__mro__[1].__module__ == "mlflow.pyfunc.model"
    if kind != "model":
        assert raw.predict(DEFAULTS[kind]).model_dump() is not None, "its dicts are unpacked there"


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@kinds
def test_mlflow_answers_from_a_script_that_was_saved_here(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as above
    written = script(tmp_path / "chat.py", kind, "mlflow")
    pyfunc.save_model(tmp_path / "m", python_model=written, pip_requirements=[])
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(DEFAULTS[kind])
    assert theirs == pyfunc.load_model(tmp_path / "m").predict(DEFAULTS[kind])


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
@kinds
@pytest.mark.parametrize("saver", ["mlflow", "pyfunc"])
def test_a_chat_of_mlflow_s_class_is_saved_and_loaded(
    tmp_path: Path, kind: str, saver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as above
    written = script(tmp_path / "chat.py", kind, "mlflow")
    written.write_text(written.read_text().replace("mlflow.models.set_model(", "made = ("))
    spec = importlib.util.spec_from_file_location("chat_of_mlflow", written)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chat_of_mlflow", module)  # where cloudpickle looks
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    try:
        save = mlflow.pyfunc.save_model if saver == "mlflow" else pyfunc.save_model
        save(str(tmp_path / "m"), python_model=module.made, pip_requirements=["x"])
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    ours = pyfunc.load_model(tmp_path / "m", suppress_warnings=True)
    theirs = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    assert ours.predict(DEFAULTS[kind]) == theirs.predict(DEFAULTS[kind])
    assert type(ours.unwrap_python_model()).__mro__[1].__module__ == "pyfunc.chat.classes"
