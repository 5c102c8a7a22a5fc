"""The keys of the file itself: `target`, `load`, `sockets` and the others."""
