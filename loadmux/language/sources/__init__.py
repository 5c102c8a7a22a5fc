"""What a scenario reads beside its own text: files, tables, the author's Python code."""
