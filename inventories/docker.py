"""Containers that run: the names in $MOORING_CONTAINERS, separated by commas, as docker ps says."""

import os

docker = [f"@docker/{name}" for name in os.environ.get("MOORING_CONTAINERS", "").split(",") if name]
