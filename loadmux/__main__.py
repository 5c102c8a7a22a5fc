"""The console script, and `python -m loadmux`: an interrupt during the imports ends quietly."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from loadmux.cli import app
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    app.main()


if __name__ == "__main__":
    main()
