"""The simulation's own kinds of message, and their keys in the config record."""

from flwr.app import Message

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


def number_message(message: Message, identity: str) -> None:
    """Give a message that Flower does not send the id under which its reply is asked for."""
    # Flower's Grid numbers what it sends in the same way; there is no other.
    message.metadata.__dict__["_message_id"] = identity
