"""The simulation's ClientApp: any node answers for whichever site a message names, and does the study's other work.

So the number of sites does not depend on how many nodes Flower was told to simulate, and every training of a study runs
in Flower's pool of workers, whether it belongs to a federation or not.
"""

import json

from flwr.app import ConfigRecord, Context, Message, RecordDict

from client.app import build_client_app
from client.request import read_request
from client.site import Site
from common import exchange
from common.plan import TrainingPlan
from simulations import work
from simulations.alone import predict_with, train_alone
from simulations.hospitals import load_hospitals


def simulated_site(plan: TrainingPlan, context: Context, config: ConfigRecord) -> Site:
    """Return the site whose number the message carries."""
    number = config[exchange.SITE]
    assert isinstance(number, int)
    return load_hospitals(plan).sites[number]


app = build_client_app(simulated_site)


@app.train(work.ALONE)
def train_one_unit(message: Message, context: Context) -> Message:
    """Train a unit that needs no federation; no hospital's ClientApp can do this."""
    request = read_request(message)
    outcome = train_alone(request.plan, str(request.config[work.ARM]), str(request.config[exchange.NAME]))
    return _answer(message, outcome.model_dump_json())


@app.evaluate(work.PREDICT)
def predict_every_test_image(message: Message, context: Context) -> Message:
    """Predict all sites' test images one by one, as only a simulation may."""
    tail = exchange.tail_of(message.content)
    return _answer(message, json.dumps(predict_with(read_request(message).plan, tail), allow_nan=False))


def _answer(message: Message, text: str) -> Message:
    return Message(RecordDict({exchange.CONFIG: ConfigRecord({work.RESULT: text})}), reply_to=message)
