"""The console script, and `python -m loadmux`: an interrupt during the imports ends quietly."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from loadmux import cli
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    cli.main()


if __name__ == "__main__":
    main()
