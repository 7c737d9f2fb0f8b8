"""pyinfra INVENTORY deploy/workspace.py --data topic=fix-login --data repo=…"""

from pyinfra.context import host

from mooring.deploys import workspace
from mooring.model import REQUEST_DATA

workspace(**{name: host.data.get(name) for name in REQUEST_DATA})
