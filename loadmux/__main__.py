"""The console script, and `python -m loadmux`: what must hold before anything else is imported.

From here on an interrupt ends quietly, writing to a standard stream cannot fail, and what breaks is
told in a line and has an exit code of its own.
"""

import sys

INTERRUPTED = 130
BROKEN = 70


def main() -> None:
    """Run the command line; ends the process."""
    try:
        import os

        from loadmux.running.interrupts import Interrupts

        interrupts = Interrupts()
        interrupts.install(os._exit)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    from loadmux.report import streams

    streams.secure()
    try:
        from loadmux.cli import app
    except Exception as error:
        print(f"loadmux: cannot start: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(BROKEN)
    app.main(interrupts)


if __name__ == "__main__":
    main()
