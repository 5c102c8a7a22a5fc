"""What a word of the language is declared with, and read through."""
