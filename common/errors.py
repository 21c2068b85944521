"""Errors for people: one line that says what is wrong, where, and how to mend it."""


class RarefedError(Exception):
    """Base of every error that ends a command with one line instead of a traceback.

    Attributes
    ----------
    exit_code : int
        What the command line returns: 2 for bad input, 1 for a failed run.
    """

    exit_code = 1


class InputError(RarefedError):
    """Something that the user gave (a path, a plan key, a data set) cannot be used."""

    exit_code = 2


class RunError(RarefedError):
    """A run with usable input failed."""

    exit_code = 1
