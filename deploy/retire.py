"""pyinfra INVENTORY deploy/retire.py --data topic=fix-login --data repo=…"""

from pyinfra.context import host

from mooring.deploys import retire
from mooring.model import REQUEST_DATA

retire(**{name: host.data.get(name) for name in REQUEST_DATA})
