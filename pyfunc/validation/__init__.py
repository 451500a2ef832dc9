"""Whether a model will work where it runs, asked before it is deployed.

:func:`pyfunc.validate` looks at the files and the environment, and has a process of its own load
the model, predict its example and answer it over every protocol of the server.
"""
