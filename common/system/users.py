"""How lines name the users of this machine."""

import os
import pwd


def user_name(number: int | None = None) -> str:
    """Return the name of a user, by default this process's; the number where there is no name, as in a container."""
    number = os.geteuid() if number is None else number
    return _name(number) or f"uid {number}"


def user_words(number: int) -> str:
    """Return name and number of a user."""
    name = _name(number)
    return f"user {name} (uid {number})" if name else f"uid {number}"


def sudo_name(number: int) -> str:
    """Return how `sudo -u` is told a user, who may have no name."""
    return _name(number) or f"'#{number}'"


def _name(number: int) -> str | None:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return None
