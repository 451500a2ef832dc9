"""Routes for single samples: a model with a request handler behind HTTP."""
