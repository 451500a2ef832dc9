"""From what a user has to a model directory."""
