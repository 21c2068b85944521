"""What a simulation's workers answer: as any hospital, and as only a simulation may."""

import json
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from client.app import build_client_app, personal_layers
from client.rules.request import read_request
from client.training.site import Site
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.workbench import workbench
from simulations.sites.consortium import load_consortium
from simulations.study import messages as study_messages
from simulations.study.arms import FEDERATED
from simulations.study.federated import federate_in_memory
from simulations.study.held_out_predictions import predict_share
from simulations.study.pooled_and_local import train_alone


def build_site_app() -> ClientApp:
    """Build the ClientApp that answers for all simulated sites, and trains whole units."""
    app = build_client_app(simulated_site, layers_folder)
    app.query(study_messages.WARM_UP)(_warm_up)
    app.train(study_messages.ALONE)(_train_alone)
    app.evaluate(study_messages.PREDICT)(_predict)
    return app


def simulated_site(plan: TrainingPlan, context: Context, config: ConfigRecord) -> Site:
    """Return the site whose number the message carries."""
    return load_consortium(plan).sites[messages.read_int(config, messages.SITE)]


def layers_folder(config: ConfigRecord) -> Path:
    """Return where the site whose number the message carries keeps its own layers."""
    return Path(str(config[study_messages.LAYERS])) / f"site-{messages.read_int(config, messages.SITE)}"


def _warm_up(message: Message, context: Context) -> Message:
    """Read the data and build the model, so that the first training need not wait for them."""
    plan = read_request(message).plan
    workbench(plan, len(load_consortium(plan).dataset.classes))
    return _answer(message, "")


def _train_alone(message: Message, context: Context) -> Message:
    """Train a unit in this worker, a federation without Flower's messages."""
    request = read_request(message)
    arm = str(request.config[study_messages.ARM])
    if arm == FEDERATED:
        outcome = federate_in_memory(request.plan, build_site_app())
    else:
        outcome = train_alone(request.plan, arm, str(request.config[messages.NAME]))
    return _answer(message, outcome.to_json_text())


def _predict(message: Message, context: Context) -> Message:
    """Predict some views of all sites' test images."""
    _, plan, config = read_request(message)

    def layers_of(number: int, site: Site) -> NDArray[np.float32] | None:
        own = personal_layers(plan, site, ConfigRecord({**config, messages.SITE: number}), layers_folder)
        return own.after(messages.read_int(config, messages.ROUND)) if own else None

    views = json.loads(str(config[study_messages.VIEWS]))
    batches = predict_share(plan, messages.read_tail(message.content), views, layers_of)
    return _answer(message, json.dumps([batch.tolist() for batch in batches], allow_nan=False))


def _answer(message: Message, text: str) -> Message:
    return Message(RecordDict({messages.CONFIG: ConfigRecord({study_messages.RESULT: text})}), reply_to=message)
