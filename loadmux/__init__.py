"""loadmux: load tests for socket servers, with several sockets a user and every byte checked."""

__version__ = "0.1.0"
