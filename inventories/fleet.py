"""Hosts over ssh: the names in $MOORING_FLEET, separated by commas, as ~/.ssh/config knows them."""

import os

fleet = [f"@ssh/{name}" for name in os.environ.get("MOORING_FLEET", "").split(",") if name]
