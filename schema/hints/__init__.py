"""Type hints of ``predict``: the schemas that they make, and data held against them."""
