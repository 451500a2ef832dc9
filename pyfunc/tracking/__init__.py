"""Logging models to a tracking server, through MLflow's client (extra ``tracking``).

What MLflow records, and how, is MLflow's: its ``Model.log`` does it, with a flavor of ours that
saves the model. Reading back is a matter of places, see :mod:`pyfunc.files.tracked`.
"""
