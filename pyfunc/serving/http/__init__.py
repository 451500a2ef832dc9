"""HTTP whatever is served: messages, bodies, connections, threads, streams, failures, workers."""
