"""Python functions as jobs and services: run, served and built from one directory."""
