"""Columns that hold lists and objects: orders with their items, checked down to the last key."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyfunc
from pyfunc.schema import infer_signature

ORDERS = [
    {
        "customer": {"name": "Ada", "member": True},
        "items": [{"price": 12.5, "count": 2, "gift": False}, {"price": 3.0, "count": 1}],
    },
    {"customer": {"name": "Bo"}, "items": []},
]


class Bill(pyfunc.PythonModel):
    """Adds an order up; members pay a tenth less."""

    def predict(self, context, model_input, params=None):
        return [
            round(self.add_up(items) * (0.9 if customer.get("member") else 1.0), 2)
            for customer, items in zip(model_input["customer"], model_input["items"], strict=True)
        ]

    def add_up(self, items) -> float:
        return sum(float(item["price"] * item["count"]) for item in items)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bill")
        pyfunc.save_model(
            path, python_model=Bill(), signature=infer_signature(ORDERS, [25.2, 0.0])
        )
        model = pyfunc.load_model(path)
        for column in model.metadata.signature.inputs:
            print(column)
        print("bills:", model.predict(ORDERS))

        wrong = [
            {"customer": {"name": 7}, "items": [{"price": 1.0, "count": 1, "colour": "red"}]},
            {"customer": {"name": "Cy"}, "items": [{"price": 1.0, "count": 1}, {"price": "2"}]},
        ]
        try:
            model.predict(wrong)
        except pyfunc.SchemaError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    main()
