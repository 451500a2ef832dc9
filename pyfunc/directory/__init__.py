"""A saved model as data: its files read, verified, changed and signed; nothing of it runs."""
