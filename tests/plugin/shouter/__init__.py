"""A plugin for loadmux: everything is said in upper case, and ends in an exclamation mark."""
