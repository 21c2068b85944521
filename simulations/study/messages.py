"""The simulation's own kinds of message, and their keys in the config record."""

# The simulation's own kinds of message, and their keys in messages.CONFIG.
ALONE = "alone"

PREDICT = "predict"

ARM = "arm"

LAYERS = "layers"

RESULT = "result"
