"""Protocols that ship with loadmux: framers like those of anybody else, found by entry points."""
