"""What holds for every host, whatever the inventory."""

from mooring.ssh import without_delay

# Small commands over ssh answer in 4 ms instead of 45 with TCP_NODELAY.
ssh_paramiko_connect_kwargs = {"transport_factory": without_delay}
