"""Files, folders, command lines and the environment, as every side needs them."""
