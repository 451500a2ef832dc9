"""Predictions for a file: read in parts, predicted, written as they come."""
