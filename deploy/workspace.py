"""pyinfra INVENTORY deploy/workspace.py --data topic=fix-login --data repo=…"""

from mooring.deploys import workspace
from mooring.model import REQUEST_DATA
from pyinfra.context import host

workspace(**{name: host.data.get(name) for name in REQUEST_DATA})
