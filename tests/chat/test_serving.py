"""Chats served: MLflow's protocol beside its own server, and OpenAI's with its own client."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pandas as pd
import pytest

import pyfunc
from pyfunc.serving import create_app
from tests.chat.echoes import ECHOES
from tests.serving.conftest import ask_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.pyfunc.scoring_server

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

HI = [{"role": "user", "content": "hi"}]
KEYS = {"model": "messages", "agent": "messages", "responses": "input"}


def asked(kind: str, text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {KEYS[kind]: [{"role": "user", "content": text}], **fields}


def frame(kind: str, rows: int = 1) -> dict[str, Any]:
    return {"dataframe_split": {"columns": [KEYS[kind]], "data": [[HI]] * rows}}


IS_PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3
ROWS: dict[str, Callable[[str], Any]] = {
    "plain": asked,
    "wrapped": lambda kind: {"inputs": asked(kind)},
    "wrapped-list": lambda kind: {"inputs": [asked(kind)]},
    "instances": lambda kind: {"instances": [asked(kind)]},
    "split": frame,
    "records": lambda kind: {"dataframe_records": [asked(kind)]},
    "two-records": lambda kind: {"dataframe_records": [asked(kind), asked(kind)]},
    "params": lambda kind: asked(kind, params={"a": 1}),
    "unknown-key": lambda kind: asked(kind, zzz=1),
    "bad-message": lambda kind: {KEYS[kind]: [{"role": "tool", "content": None}]},
    "wrong-type": lambda kind: asked(kind, custom_inputs=5),
    "list": lambda kind: HI,
    "both-keys": lambda kind: {"messages": HI, "input": HI},
    "prompt": lambda kind: {"prompt": "hi"},
    "empty": lambda kind: {},
    "int-for-float": lambda kind: asked(kind, temperature=1),
    "text-for-float": lambda kind: asked(kind, temperature="1"),
    "no-object": lambda kind: "hi",
}


@pytest.fixture(scope="module")
def servers(echoes: dict[str, Path]) -> dict[str, tuple[Any, Any]]:
    """Kind -> the application here and that of MLflow."""
    return {
        kind: (
            create_app(pyfunc.load_model(path), name=kind),
            mlflow.pyfunc.scoring_server.init(mlflow.pyfunc.load_model(str(path))),
        )
        for kind, path in echoes.items()
    }


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("kind", ECHOES)
def test_invocations_are_answered_as_by_mlflow(
    servers: dict[str, tuple[Any, Any]], kind: str, row: str
) -> None:
    logging.disable(logging.CRITICAL)  # both servers log what they refuse
    try:
        ours, theirs = (ask_app(app, body=ROWS[row](kind)) for app in servers[kind])
    finally:
        logging.disable(logging.NOTSET)
    if not IS_PANDAS_3 and (kind, row) == ("responses", "text-for-float"):
        # pandas 2 has no dtype for text, so that MLflow lets it pass as other types
        assert (ours.status_code, theirs.status_code) == (400, 200)
        return
    assert ours.status_code == theirs.status_code
    if ours.status_code == 200:
        assert ours.json() == theirs.json()


@pytest.mark.parametrize("kind", ECHOES)
def test_csv_is_refused(servers: dict[str, tuple[Any, Any]], kind: str) -> None:
    logging.disable(logging.CRITICAL)  # as above
    try:
        answers = [ask_app(app, body="a\n1\n", content_type="text/csv") for app in servers[kind]]
    finally:
        logging.disable(logging.NOTSET)
    assert [answer.status_code for answer in answers] == [400, 400]


def events_of(text: str) -> list[str]:
    return [block.removeprefix("data: ") for block in text.strip().split("\n\n")]


@pytest.mark.parametrize("kind", ECHOES)
def test_invocations_stream_where_a_request_asks_for_it(
    servers: dict[str, tuple[Any, Any]], echoes: dict[str, Path], kind: str
) -> None:
    response = ask_app(servers[kind][0], body=asked(kind, "a b", stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *parts, end = events_of(response.text)
    assert end == "[DONE]"
    model = pyfunc.load_model(echoes[kind])
    assert [json.loads(part) for part in parts] == list(model.predict_stream(asked(kind, "a b")))


CHAT = """
import time
from pathlib import Path
import pyfunc
from pyfunc.types import agent, llm, responses

class Words:
    def load_context(self, context):
        self.folder = Path(context.model_config["folder"])

    def words(self):
        try:
            yield "one"
            while not (self.folder / "go").exists():
                time.sleep(0.01)
            yield "two"
            yield "three"
        except GeneratorExit:
            (self.folder / "ended").touch()
            raise

class Model(Words, pyfunc.ChatModel):
    def predict(self, context, messages, params):
        message = llm.ChatMessage("assistant", f"{params.temperature} {messages[-1].content}")
        return llm.ChatCompletionResponse([llm.ChatChoice(message)])

    def predict_stream(self, context, messages, params):
        for word in self.words():
            yield llm.ChatCompletionChunk([llm.ChatChunkChoice(llm.ChatChoiceDelta(content=word))])

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

class Agent(Words, pyfunc.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        told = [
            agent.ChatAgentMessage(role="assistant", tool_calls=[CALL], id="0"),
            agent.ChatAgentMessage(role="tool", name="f", tool_call_id="c", content="5", id="1"),
            agent.ChatAgentMessage(role="assistant", content=messages[-1].content, id="2"),
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        return agent.ChatAgentResponse(messages=told, custom_outputs=custom_inputs, usage=usage)

    def predict_stream(self, messages, context=None, custom_inputs=None):
        for word in self.words():
            message = agent.ChatAgentMessage(role="assistant", content=word, id="1")
            yield agent.ChatAgentChunk(delta=message)

class Responses(Words, pyfunc.ResponsesAgent):
    def predict(self, request):
        told = [str(item.content) for item in request.input]
        items = [self.create_text_output_item("|".join(told), "1")]
        for tool in request.tools or []:
            items.append(self.create_function_call_item("2", "c", tool.name, "{}"))
        return responses.ResponsesAgentResponse(output=items)

    def predict_stream(self, request):
        said = []
        for word in self.words():
            said.append(word)
            yield responses.ResponsesAgentStreamEvent(**self.create_text_delta(word, "1"))
        item = self.create_text_output_item("".join(said), "1")
        yield responses.ResponsesAgentStreamEvent(type="response.output_item.done", item=item)

pyfunc.set_model({name}())
"""
CLASSES = {"model": "Model", "agent": "Agent", "responses": "Responses"}


class Served:
    """A chat behind ``pyfunc serve``, which says one word and the rest when it may go on."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)

    def let_go_on(self) -> None:
        (self.folder / "go").touch()

    def wait_for_end(self) -> None:
        deadline = time.monotonic() + 60
        while not (self.folder / "ended").exists():
            assert time.monotonic() < deadline, "the generator was not ended"
            time.sleep(0.01)


@pytest.fixture(params=CLASSES)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    script = tmp_path / "chat.py"
    script.write_text(CHAT.replace("{name}", CLASSES[request.param]))
    pyfunc.save_model(
        tmp_path / request.param,
        python_model=script,
        model_config={"folder": str(tmp_path)},
        pip_requirements=[],
    )
    command = [
        sys.executable,
        "-m",
        "pyfunc",
        "serve",
        str(tmp_path / request.param),
        "--port",
        "0",
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "http://127.0.0.1:" in line)
        port = int(line.split("http://127.0.0.1:")[1].split()[0].strip("/"))
        yield Served(tmp_path, port)
    finally:
        server.kill()
        server.communicate()


def test_the_client_streams_words_as_they_are_said(served: Served) -> None:
    stream = served.client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    words = (chunk.choices[0].delta.content for chunk in stream)
    said = (word for word in words if word)
    assert next(said) == "one"
    assert not (served.folder / "go").exists(), "the rest was not made before it was let go"
    served.let_go_on()
    assert list(said) == ["two", "three"]


def test_the_client_streams_a_response_as_it_is_made(served: Served) -> None:
    kinds, said = [], []
    with served.client.responses.stream(model="any", input="hi") as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                said.append(event.delta)
                served.let_go_on()
        final = stream.get_final_response()
    assert said == ["one", "two", "three"]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert final.output_text == "onetwothree"
    assert final.status == "completed"


@pytest.mark.parametrize("route", ["completions", "responses", "invocations"])
def test_a_client_that_goes_away_ends_the_generator(served: Served, route: str) -> None:
    if route == "invocations":
        kind = next(kind for kind in CLASSES if (served.folder / kind).is_dir())
        body = asked(kind, stream=True)
        with httpx.stream("POST", f"{served.url}/invocations", json=body) as response:
            assert "one" in next(response.iter_lines())
    elif route == "responses":
        with served.client.responses.create(model="m", input="hi", stream=True) as events:
            assert "response.output_text.delta" in (event.type for event in events)
    else:
        with served.client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        ) as chunks:
            assert "one" in (chunk.choices[0].delta.content for chunk in chunks)
    served.let_go_on()
    served.wait_for_end()


def test_the_client_gets_whole_answers(served: Served) -> None:
    client = served.client
    kind = next(kind for kind in CLASSES if (served.folder / kind).is_dir())
    assert [model.id for model in client.models.list()] == [kind]
    assert client.models.retrieve(kind).id == kind
    answer = client.chat.completions.create(
        model=kind,
        messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        temperature=0,
        stop="x",
    )
    message = answer.choices[0].message
    expected = {"model": "0.0 hi", "agent": "hi", "responses": "be brief|hi"}
    assert (message.role, message.content) == ("assistant", expected[kind])
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == kind
    assert answer.choices[0].finish_reason == "stop"
    response = client.responses.create(model=kind, input="hi", instructions="be brief")
    told = {"model": "1.0 hi", "agent": "hi", "responses": "be brief|hi"}
    assert response.output_text == told[kind]
    assert response.status == "completed"
    if kind == "agent":
        assert answer.usage is not None
        assert answer.usage.total_tokens == 3


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user"}]},
        {"messages": "hi"},
        {},
        {"messages": [{"role": "user", "content": "hi"}], "temperature": "1", "tools": 5},
    ],
    ids=["no-content", "text", "nothing", "wrong-types"],
)
@pytest.mark.parametrize("kind", ECHOES)
def test_a_bad_request_is_told_as_openai_does(
    servers: dict[str, tuple[Any, Any]], kind: str, body: dict[str, Any]
) -> None:
    if "temperature" in body and kind == "agent":
        body = {**body, "custom_inputs": 5}  # it takes no temperature
    response = ask_app(servers[kind][0], "/v1/chat/completions", body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")


def test_tools_go_in_and_calls_come_out(tmp_path: Path) -> None:
    script = tmp_path / "chat.py"
    script.write_text(CHAT.replace("{name}", "Responses"))
    pyfunc.save_model(
        tmp_path / "m", python_model=script, model_config={"folder": "."}, pip_requirements=[]
    )
    app = create_app(pyfunc.load_model(tmp_path / "m"))
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    body = {"messages": HI, "tools": [tool]}
    choice = ask_app(app, "/v1/chat/completions", body).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    assert choice["message"]["tool_calls"] == [call]
    flat = {"type": "function", "name": "add", "parameters": {"type": "object"}}
    output = ask_app(app, "/v1/responses", {"input": "hi", "tools": [flat]}).json()["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]


def test_a_conversation_with_calls_becomes_items(servers: dict[str, tuple[Any, Any]]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "5"},
    ]
    answers = {
        kind: ask_app(app, "/v1/chat/completions", {"messages": messages})
        for kind, (app, _) in servers.items()
    }
    assert {kind: answer.status_code for kind, answer in answers.items()} == dict.fromkeys(
        servers, 200
    )
    told = json.loads(answers["responses"].json()["choices"][0]["message"]["content"])
    assert [item["type"] for item in told["input"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]


WHOLE = """
import pyfunc
class Whole(pyfunc.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        return {"messages": [{"role": "assistant", "content": "all at once", "id": "1"}]}
pyfunc.set_model(Whole())
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Return a chat that does not stream."""
    (tmp_path / "whole.py").write_text(WHOLE)
    pyfunc.save_model(tmp_path / "m", python_model=tmp_path / "whole.py")
    return tmp_path / "m"


def test_a_chat_that_does_not_stream_is_streamed_at_once(whole: Path) -> None:
    app = create_app(pyfunc.load_model(whole))
    body = {"messages": HI, "stream": True}
    *chunks, end = events_of(ask_app(app, "/v1/chat/completions", body).text)
    assert end == "[DONE]"
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "all at once"}
    assert ask_app(app, body=body).json()["messages"][0]["content"] == "all at once"


class Failing(pyfunc.ChatAgent):
    def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
        return {"messages": []}

    def predict_stream(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
        yield {"delta": {"role": "assistant", "content": "a", "id": "1"}}
        raise ValueError("a secret of the model")


def test_a_failure_in_a_stream_is_told_and_hidden(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=Failing(), pip_requirements=[])
    app = create_app(pyfunc.load_model(tmp_path / "m"))
    body = {"messages": HI, "stream": True}
    first, failure, end = events_of(ask_app(app, body=body).text)
    assert json.loads(first)["delta"]["content"] == "a"
    assert list(json.loads(failure)) == ["error"]
    assert end == "[DONE]"
    text = ask_app(app, "/v1/chat/completions", body).text
    assert json.loads(events_of(text)[-1])["error"]["type"] == "server_error"
    assert "secret" not in text + failure


def test_what_is_no_chat_has_no_routes_of_chats(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda x: x, pip_requirements=[])
    app = create_app(pyfunc.load_model(tmp_path / "m", suppress_warnings=True))
    assert ask_app(app, "/v1/models").status_code == 404
    assert ask_app(app, "/v1/chat/completions", {"messages": HI}).status_code == 404


@pytest.mark.parametrize("kind", ECHOES)
def test_the_document_names_the_routes(servers: dict[str, tuple[Any, Any]], kind: str) -> None:
    app = servers[kind][0]
    paths = ask_app(app, "/openapi.json").json()["paths"]
    assert {"/v1/models", f"/v1/models/{kind}", "/v1/chat/completions", "/v1/responses"} <= set(
        paths
    )
    for path in paths:
        if path.startswith("/v1/models"):
            assert ask_app(app, path).status_code == 200


def test_a_chat_works_as_a_whole(whole: Path) -> None:
    assert "pydantic==" in (whole / "requirements.txt").read_text()
    report = pyfunc.validate(whole)
    assert report.ok, str(report)


def test_a_chat_in_another_process_is_served_too(whole: Path) -> None:
    model = pyfunc.load_model(whole, env="isolated", env_manager="local", suppress_warnings=True)
    try:
        answer = ask_app(create_app(model), "/v1/chat/completions", {"messages": HI}).json()
    finally:
        model.close()
    assert answer["choices"][0]["message"]["content"] == "all at once"
