"""Readers that trip over what a server sent: no bytes from a server end a run.

Whatever loadmux's own readers (and the libraries that they read with) raise, other than what they
are to raise, is a reply that cannot be read. What somebody else's code raises, a plugin's or a
scenario's, is that code's own mistake and is let through, and so is that memory has run out.
"""

from __future__ import annotations

import sys

READ_WITH = frozenset({"loadmux", "h11", "wsproto"})


def tripped(error: Exception) -> str:
    """What to say of a reader that raised, in one line. Raises the error if it is no reader's."""
    if isinstance(error, MemoryError) or not _ours(error):
        raise error
    what = " ".join(str(error).split())[:200]
    why = f"{type(error).__name__}: {what}" if what else type(error).__name__
    return f"what came cannot be read ({why}); if it is right, the mistake is loadmux's"


def _ours(error: Exception) -> bool:
    """Whether only loadmux, what it reads with and Python were at work."""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in READ_WITH and module not in sys.stdlib_module_names:
            return False
        trace = trace.tb_next
    return True
