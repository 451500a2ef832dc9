"""HTTP without anything of models: messages, bodies, connections, threads, failures."""
