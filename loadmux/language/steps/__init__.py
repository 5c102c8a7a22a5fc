"""The steps of a scenario: their keys, how each is read, and what it comes to."""
