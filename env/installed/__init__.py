"""What is installed here: distributions, the modules that they own, interpreters."""
