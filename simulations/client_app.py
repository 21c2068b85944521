"""The simulation's ClientApp: any node answers for whichever site a message names, and does the study's other work.

So the number of sites does not depend on how many nodes Flower was told to simulate, and every training of a study runs
in Flower's pool of workers, whether it belongs to a federation or not.
"""

import json
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray

from client.app import build_client_app, personal_layers
from client.request import read_request
from client.site import Site
from common import exchange
from common.plan import TrainingPlan
from simulations import work
from simulations.alone import predict_with, train_alone
from simulations.hospitals import load_hospitals


def simulated_site(plan: TrainingPlan, context: Context, config: ConfigRecord) -> Site:
    """Return the site whose number the message carries."""
    return load_hospitals(plan).sites[_number(config)]


def layers_folder(config: ConfigRecord) -> Path:
    """Return where the site whose number the message carries keeps its own layers."""
    return Path(str(config[work.LAYERS])) / f"site-{_number(config)}"


app = build_client_app(simulated_site, layers_folder)


@app.train(work.ALONE)
def train_one_unit(message: Message, context: Context) -> Message:
    """Train a unit that needs no federation; no hospital's ClientApp can do this."""
    request = read_request(message)
    outcome = train_alone(request.plan, str(request.config[work.ARM]), str(request.config[exchange.NAME]))
    return _answer(message, outcome.model_dump_json())


@app.evaluate(work.PREDICT)
def predict_every_test_image(message: Message, context: Context) -> Message:
    """Predict all sites' test images one by one, as only a simulation may."""
    _, plan, config = read_request(message)

    def layers_of(number: int, site: Site) -> NDArray[np.float32] | None:
        own = personal_layers(plan, site, ConfigRecord({**config, exchange.SITE: number}), layers_folder)
        return own.after(int(str(config[exchange.ROUND]))) if own else None

    tail = exchange.tail_of(message.content)
    return _answer(message, json.dumps(predict_with(plan, tail, layers_of), allow_nan=False))


def _number(config: ConfigRecord) -> int:
    number = config[exchange.SITE]
    assert isinstance(number, int)
    return number


def _answer(message: Message, text: str) -> Message:
    return Message(RecordDict({exchange.CONFIG: ConfigRecord({work.RESULT: text})}), reply_to=message)
