"""What the probe reads: one shell fragment and its parser per noun, joined in `workspace.py`."""
