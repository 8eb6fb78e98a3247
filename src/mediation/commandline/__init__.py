"""The command line: one file per kind of command, each with an `app` that `cli.py` puts into the whole."""
