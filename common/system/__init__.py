"""Files, folders, ports, command lines and the environment."""
