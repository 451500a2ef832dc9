"""The files of a model directory: where they are, how they are read, copied and put in place."""
