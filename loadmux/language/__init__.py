"""The scenario language: `loading` is the door, `meaning` what comes out of it."""
