"""Mooring: reproducible workspaces for coding, whose Claude Code conversations resume anywhere."""

__version__ = "0.1.0"
