"""The language told back: its schema, its reference, and scenarios in its words."""
