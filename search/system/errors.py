"""The one error that people are meant to read."""


class UserError(Exception):
    """A mistake that its maker can mend: the message says what is wrong, where, and the way out.

    The command line prints it without a traceback and exits with 1.
    """
