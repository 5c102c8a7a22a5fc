"""Text with places: YAML and Python values as one tree, messages about its nodes, YAML again."""
