"""Saves a model from its script: nothing is pickled, and the code can be read and reviewed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyfunc

SCRIPT = Path(__file__).with_name("reader.py")
REVIEWS = ["Good food, and fast.", "Slow and dull.", "We had soup."]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "reader")
        pyfunc.save_model(path, python_model=SCRIPT, input_example=REVIEWS[:1])
        print("saved:", ", ".join(sorted(file.name for file in path.iterdir())))
        print("the script is in it:", (path / "reader.py").read_text() == SCRIPT.read_text())

        model = pyfunc.load_model(path)
        print("from the hints:", model.metadata.signature.inputs, "->", end=" ")
        print(model.metadata.signature.outputs)
        print("predicted:", model.predict(REVIEWS))
        try:
            model.predict([1, 2])
        except pyfunc.PyfuncError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    main()
