"""`mooring store`: session stores in Docker volumes. Imports the Docker SDK: import it late."""
