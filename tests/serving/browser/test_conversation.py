"""The page of a chat in a real browser: a conversation that is streamed, stopped and refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

import pyfunc
from pyfunc.chat.kinds import chat_of
from pyfunc.chat.runner import ChatRunner
from pyfunc.serving import create_app
from pyfunc.types import agent, llm, responses

Open = Callable[[Any], Any]


class Words:
    """Says one word, and the others once it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.ended = threading.Event()
        self.heard: list[Any] = []

    def words(self, heard: list[str]) -> Iterator[str]:
        self.heard.append(heard)
        if heard[-1] == "fail":
            raise ValueError("a secret of the model")
        try:
            yield "one "
            assert self.may_go_on.wait(30)
            yield "<b>two</b>"
        except GeneratorExit:
            self.ended.set()
            raise


class Model(Words, pyfunc.ChatModel):
    def predict(self, context: Any, messages: Any, params: Any) -> Any:
        raise AssertionError("a conversation is streamed")

    def predict_stream(self, context: Any, messages: Any, params: Any) -> Iterator[Any]:
        heard = [message.content for message in messages]
        for word in self.words([f"{params.temperature}", *heard]):
            delta = llm.ChatChoiceDelta(content=word)
            yield llm.ChatCompletionChunk([llm.ChatChunkChoice(delta)])


class Agent(Words, pyfunc.ChatAgent):
    def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
        raise AssertionError("a conversation is streamed")

    def predict_stream(
        self, messages: Any, context: Any = None, custom_inputs: Any = None
    ) -> Iterator[Any]:
        function = {"name": "add", "arguments": '{"a": 1}'}
        call = agent.ChatAgentMessage.model_validate(
            {"role": "assistant", "tool_calls": [{"id": "c", "function": function}], "id": "0"}
        )
        yield agent.ChatAgentChunk(delta=call)
        for word in self.words([message.content for message in messages]):
            message = agent.ChatAgentMessage(role="assistant", content=word, id="1")
            yield agent.ChatAgentChunk(delta=message)


class Responses(Words, pyfunc.ResponsesAgent):
    def predict(self, request: Any) -> Any:
        raise AssertionError("a conversation is streamed")

    def predict_stream(self, request: Any) -> Iterator[Any]:
        for word in self.words([item.content for item in request.input]):
            yield responses.ResponsesAgentStreamEvent(**self.create_text_delta(word, "1"))


def app_of_chat(chat: Any) -> Any:
    runner = ChatRunner(chat_of(chat), None, None)
    section = {"loader_module": "chat", "streamable": True}
    meta = pyfunc.Model(artifact_path="talker", flavors={"python_function": section})
    return create_app(pyfunc.PyFuncModel(meta, runner, predict_stream_fn="predict_stream"))


def say(page: Any, text: str) -> None:
    page.find("#text").send_keys(text, Keys.ENTER)


def texts(page: Any) -> list[str]:
    return [node.text.strip() for node in page.all("#messages .text")]


@pytest.mark.parametrize("kind", [Model, Agent, Responses])
def test_an_answer_is_shown_as_it_is_made(open_page: Open, kind: type[Any]) -> None:
    chat = kind()
    page = open_page(app_of_chat(chat))
    assert page.text("h1") == "talker"
    assert page.driver.title.startswith("talker")
    say(page, "hi")
    page.wait(lambda _: texts(page) == ["hi", "one"])
    assert not chat.may_go_on.is_set()
    assert page.find("#stop").is_enabled()
    chat.may_go_on.set()
    page.wait_for_text("#state", "Answered in")
    assert texts(page) == ["hi", "one <b>two</b>"], "text of a model is never markup"
    say(page, "more")
    page.wait(lambda _: len(texts(page)) == 4 and "two" in texts(page)[3])
    assert [str(said) for said in chat.heard[-1]][-3:] == ["hi", "one <b>two</b>", "more"]
    assert page.console() == []


def test_calls_of_tools_are_shown(open_page: Open) -> None:
    chat = Agent()
    chat.may_go_on.set()
    page = open_page(app_of_chat(chat))
    say(page, "hi")
    page.wait_for_text("#state", "Answered in")
    assert page.text("#messages .call") == 'calls add({"a": 1})'
    page.shoot("conversation", 900)


def test_stopping_ends_the_generator(open_page: Open) -> None:
    chat = Model()
    page = open_page(app_of_chat(chat))
    say(page, "hi")
    page.wait(lambda _: texts(page) == ["hi", "one"])
    page.find("#stop").click()
    page.wait_for_text("#state", "Stopped.")
    chat.may_go_on.set()
    assert chat.ended.wait(30)
    assert page.focused().get_attribute("id") == "text"


def test_a_failure_is_told_and_what_was_said_can_be_said_again(open_page: Open) -> None:
    chat = Model()
    chat.may_go_on.set()
    page = open_page(app_of_chat(chat))
    say(page, "fail")
    page.wait(lambda _: page.find("#problem").is_displayed())
    assert "status 500" in page.text("#problem")
    assert "secret" not in page.text("#problem")
    assert texts(page) == ["fail"]
    say(page, "hi")
    page.wait_for_text("#state", "Answered in")
    assert chat.heard[-1] == ["1.0", "hi"]
    assert not page.find("#problem").is_displayed()


def test_further_fields_and_instructions_are_sent(open_page: Open) -> None:
    chat = Model()
    chat.may_go_on.set()
    page = open_page(app_of_chat(chat))
    page.find("summary").click()
    page.find("#system").send_keys("be brief")
    page.find("#extra").send_keys("[1]")
    say(page, "hi")
    page.wait_for_text("#problem", "JSON object")
    assert texts(page) == []
    page.find("#extra").clear()
    page.find("#extra").send_keys('{"temperature": 0.5}')
    page.find("#send").click()
    page.wait_for_text("#state", "Answered in")
    assert chat.heard == [["0.5", "be brief", "hi"]]


def test_a_new_conversation_forgets(open_page: Open) -> None:
    chat = Model()
    chat.may_go_on.set()
    page = open_page(app_of_chat(chat))
    say(page, "hi")
    page.wait_for_text("#state", "Answered in")
    page.find("#new").click()
    assert texts(page) == []
    page.find("#text").send_keys("a", Keys.SHIFT + Keys.ENTER)
    page.find("#text").send_keys("b", Keys.ENTER)
    page.wait_for_text("#state", "Answered in")
    assert chat.heard[-1] == ["1.0", "a\nb"]
