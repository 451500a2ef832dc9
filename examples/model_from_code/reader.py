"""The model: a script that is saved as it stands, and runs when the model is loaded."""

from __future__ import annotations

import re

import pyfunc

GOOD = {"clear", "fast", "good", "kind"}
BAD = {"dull", "late", "rude", "slow"}


class Reader(pyfunc.PythonModel):
    """Says what a review thinks, by the words in it."""

    def predict(self, context, model_input: list[str], params=None) -> list[str]:
        return [self.judge(set(re.findall(r"\w+", text.lower()))) for text in model_input]

    def judge(self, words: set[str]) -> str:
        balance = len(words & GOOD) - len(words & BAD)
        return "good" if balance > 0 else "bad" if balance < 0 else "undecided"


pyfunc.set_model(Reader())
