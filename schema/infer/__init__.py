"""Schemas and types from what there is: values, dtypes, type hints."""
