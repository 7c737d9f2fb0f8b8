"""Mooring: reproducible coding workspaces, with the Claude Code conversation of each kept resumable."""

__version__ = "0.1.0"
