"""Batches of Arrow columns through a model: what it is given, and what becomes of its answer."""
