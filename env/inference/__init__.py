"""What a saved model needs, found by reading it."""
