"""Input examples: written into a model directory, and read out of one."""
