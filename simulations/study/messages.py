"""The simulation's own kinds of message, and their keys in the config record."""

WARM_UP = "warm_up"
"""Kind of the message that has a worker read the data and build the model."""

ALONE = "alone"
"""Kind of the message that has a whole unit trained in one worker."""

PREDICT = "predict"
"""Kind of the message that has all sites' test images predicted."""

ARM = "arm"
"""Key of the arm of a unit to train."""

LAYERS = "layers"
"""Key of the folder in which simulated sites keep the layers that they do not exchange."""

VIEWS = "views"
"""Key of the numbers of the views to predict, as JSON; see `Trainer.predict_views`."""

RESULT = "result"
"""Key of a reply's content, as JSON."""
