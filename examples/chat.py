"""An agent that looks things up in a table, served and asked with the client of OpenAI."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from sklearn.datasets import load_wine

import pyfunc
from pyfunc.types.responses import ResponsesAgentResponse, ResponsesAgentStreamEvent

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
QUESTION = "Which wine has the most alcohol, and which the least malic_acid?"


class Sommelier(pyfunc.ResponsesAgent):
    """Answers which wine has the most, or the least, of something."""

    def load_context(self, context):
        import pandas as pd

        self.wines = pd.read_csv(context.artifacts["wines"], index_col="wine")

    def predict(self, request):
        events = self.predict_stream(request)
        items = [event.item for event in events if event.type == "response.output_item.done"]
        return ResponsesAgentResponse(output=items)

    def predict_stream(self, request):  # what a chat of the server sends part by part
        sentences = list(self.answer(request.input[-1].content))
        for sentence in sentences:
            yield ResponsesAgentStreamEvent(**self.create_text_delta(sentence, "answer"))
        item = self.create_text_output_item("".join(sentences).strip(), "answer")
        yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)

    def answer(self, question):
        for which, what in re.findall(r"(most|least) (\w+)", question):
            if what not in self.wines:
                yield f"Of {what} I know nothing. "
                continue
            column = self.wines[what]
            wine = column.idxmax() if which == "most" else column.idxmin()
            yield f"Wine {wine} has the {which} {what}, {column[wine]}. "


@contextmanager
def served(path: Path) -> Iterator[openai.OpenAI]:
    """Serve the agent as ``pyfunc serve`` does; give a client once it answers."""
    address = f"http://127.0.0.1:{PORT}/v1"
    command = [sys.executable, "-m", "pyfunc", "serve", str(path), "--port", str(PORT)]
    server = subprocess.Popen([*command, "--name", "sommelier"], stderr=subprocess.DEVNULL)
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
    try:
        while server.poll() is None:
            try:
                client.models.list()
                break
            except openai.APIConnectionError:
                time.sleep(0.1)
        else:
            sys.exit(f"the server ended with {server.returncode}: is port {PORT} free?")
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, path = Path(folder, "wines.csv"), Path(folder, "sommelier")
        load_wine(as_frame=True).data.rename_axis("wine").to_csv(table)
        pyfunc.save_model(path, python_model=Sommelier(), artifacts={"wines": str(table)})

        asked = {"input": [{"role": "user", "content": "Who has the most proline?"}]}
        answer = pyfunc.load_model(path).predict(asked)
        print("in Python:", answer["output"][0]["content"][0]["text"])

        with served(path) as client:
            print("served:", *[model.id for model in client.models.list()])
            answer = client.responses.create(model="sommelier", input=QUESTION)
            print("responses:", answer.output_text)
            stream = client.chat.completions.create(
                model="sommelier", messages=[{"role": "user", "content": QUESTION}], stream=True
            )
            parts = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
            print("chat, part by part:", [part for part in parts if part])


if __name__ == "__main__":
    main()
