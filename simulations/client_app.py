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
from client.rules.request import read_request
from client.training.site import Site
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from simulations.sites.consortium import load_consortium
from simulations.study import messages as study_messages
from simulations.study.pooled_and_local import predict_with, train_alone


def simulated_site(plan: TrainingPlan, context: Context, config: ConfigRecord) -> Site:
    """Return the site whose number the message carries."""
    return load_consortium(plan).sites[messages.read_int(config, messages.SITE)]


def layers_folder(config: ConfigRecord) -> Path:
    """Return where the site whose number the message carries keeps its own layers."""
    return Path(str(config[study_messages.LAYERS])) / f"site-{messages.read_int(config, messages.SITE)}"


app = build_client_app(simulated_site, layers_folder)


@app.train(study_messages.ALONE)
def train_one_unit(message: Message, context: Context) -> Message:
    """Train a unit that needs no federation; no hospital's ClientApp can do this."""
    request = read_request(message)
    outcome = train_alone(request.plan, str(request.config[study_messages.ARM]), str(request.config[messages.NAME]))
    return _answer(message, outcome.to_json_text())


@app.evaluate(study_messages.PREDICT)
def predict_every_test_image(message: Message, context: Context) -> Message:
    """Predict all sites' test images one by one, as only a simulation may."""
    _, plan, config = read_request(message)

    def layers_of(number: int, site: Site) -> NDArray[np.float32] | None:
        own = personal_layers(plan, site, ConfigRecord({**config, messages.SITE: number}), layers_folder)
        return own.after(messages.read_int(config, messages.ROUND)) if own else None

    tail = messages.read_tail(message.content)
    return _answer(message, json.dumps(predict_with(plan, tail, layers_of), allow_nan=False))


def _answer(message: Message, text: str) -> Message:
    return Message(RecordDict({messages.CONFIG: ConfigRecord({study_messages.RESULT: text})}), reply_to=message)
