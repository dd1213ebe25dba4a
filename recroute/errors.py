"""What a person can mend: every error here is one line that names the value, the place and the mend."""

import difflib
from collections.abc import Iterable


class RecrouteError(ValueError):
    """Base of all errors caused by input; the command line prints it as one line and exits with 2."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, also where it quotes a name that is not


class DataError(RecrouteError):
    """A data set, a table or a file is not what it has to be."""


class RouterError(RecrouteError):
    """A router cannot do what it was asked to do, or its folder is damaged."""


class UnknownNameError(RecrouteError):
    """A name that is not in its registry; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = list(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        listed = ", ".join(known[:12]) + (f", ... ({len(known)} in all)" if len(known) > 12 else "")
        super().__init__(f"unknown {kind} {name!r}{where}: {hint}known: {listed}")
