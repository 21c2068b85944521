"""Environment variables that stop libraries from calling home, and Flower from installing dependencies again.

`rarefed.pth` sets the same ones at the start of every Python of an environment that has rarefed, so that they also hold
for `flwr run .` typed by hand; a test keeps the two equal.
"""

OFFLINE_ENVIRONMENT = {
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
