"""A child process, and values to and from it without pickle."""
