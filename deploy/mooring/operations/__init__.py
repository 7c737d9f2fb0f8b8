"""What changes a target: one operation per noun, each one command, or none if nothing differs."""
