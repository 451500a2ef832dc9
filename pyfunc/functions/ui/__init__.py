"""A page that shows a store: projects, functions, runs, data, logs. It changes nothing."""
