"""`python -m loadmux` is the command `loadmux`."""

from loadmux.cli import main

if __name__ == "__main__":
    main()
