"""What Claude Code keeps, and how it is started."""
