"""Untracked files: which rule brings what, what templates come to, what other tools' lists say."""
