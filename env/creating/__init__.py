"""Environments made for a model."""
