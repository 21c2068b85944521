"""The ClientApp: Flower's messages in, a hospital's answers out."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from client.rules.request import read_request
from client.training.personal_layers import PersonalLayers
from client.training.rounds import evaluate_tail, train_round, trunk_digest
from client.training.site import Site
from common.dataset.splits import SplitName
from common.errors import InputError
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.evaluation_metrics import counts_to_metrics
from common.protocol.receipt import receipt_of
from common.training.workbench import workbench

SiteLoader = Callable[[TrainingPlan, Context, ConfigRecord], Site]
"""Finds the hospital that a message is for; what differs between a real hospital and a simulated one."""

LayersFolder = Callable[[ConfigRecord], Path]
"""Where the hospital that a message is for keeps its personal layers; asked only under plans that leave it some."""


def build_client_app(
    load_site: SiteLoader,
    layers_folder: LayersFolder,
    as_done_here: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan,
) -> ClientApp:
    """Build a ClientApp that answers for the hospital that `load_site` returns.

    Parameters
    ----------
    load_site : callable
        Called with the plan, Flower's context and the message's config for every message: it should remember.
    layers_folder : callable
        Called with the message's config.
    as_done_here : callable
        Turns the coordinator's plan into the one that this site carries out: with its own paths, on its own device.

    Returns
    -------
    ClientApp
        Answers `query` (who are you, how many images, which trunk), `train` (one round) and `evaluate` (scores only).
    """
    app = ClientApp()

    def asked(message: Message) -> tuple[TrainingPlan, ConfigRecord]:
        request = read_request(message)
        return as_done_here(request.plan), request.config

    @app.query()
    def query(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        identity = ConfigRecord(
            {
                messages.NAME: site.name,
                messages.VERSION: version("rarefed"),
                messages.TRUNK_DIGEST: trunk_digest(plan, site),
                **receipt_of(config),
            }
        )
        counts = MetricRecord(
            {
                messages.TRAIN_IMAGES: len(site.split.train),
                messages.VALIDATION_IMAGES: len(site.split.validation),
                messages.TEST_IMAGES: len(site.split.test),
            }
        )
        return Message(RecordDict({messages.CONFIG: identity, messages.METRICS: counts}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        number, own = messages.read_int(config, messages.ROUND), personal_layers(plan, site, config, layers_folder)
        before = own.after(number - 1) if own else None
        update = train_round(plan, site, _tail(message, config), number, before)
        if own:
            own.keep(number, update.personal)
        metrics = MetricRecord(
            {
                messages.IMAGES: update.images,
                messages.TRAIN_LOSS: update.train_loss,
                **counts_to_metrics(update.score),
            }
        )
        content = RecordDict({messages.ARRAYS: messages.tail_record(update.change), messages.METRICS: metrics})
        content[messages.CONFIG] = ConfigRecord({**receipt_of(config)})
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        own = personal_layers(plan, site, config, layers_folder)
        layers = own.after(messages.read_int(config, messages.ROUND)) if own else None
        score = evaluate_tail(plan, site, _tail(message, config), _split(config), layers)
        metrics = MetricRecord(counts_to_metrics(score))
        answered = ConfigRecord({**receipt_of(config)})
        return Message(RecordDict({messages.METRICS: metrics, messages.CONFIG: answered}), reply_to=message)

    return app


def personal_layers(
    plan: TrainingPlan, site: Site, config: ConfigRecord, layers_folder: LayersFolder
) -> PersonalLayers | None:
    """Return what a hospital keeps of its own in a message's federation; None if the plan leaves it nothing.

    Raises
    ------
    InputError
        If the message does not say which federation it belongs to.
    """
    layout = workbench(plan, len(site.classes)).personal
    if not layout.names:
        return None
    federation = config.get(messages.FEDERATION)
    if not isinstance(federation, str) or not federation:
        raise InputError(f"a message came without {messages.FEDERATION}: whose layers it is about, nobody knows")
    return PersonalLayers(layers_folder(config), federation, layout)


def _tail(message: Message, config: ConfigRecord) -> NDArray[np.float32]:
    """Return the tail of a message; raises `InputError` if it is not the one that was sent."""
    tail = messages.read_tail(message.content)
    if tail_digest(tail) != config[messages.TAIL_DIGEST]:
        raise InputError("the tail of a message was damaged on its way: its digest is not the one that came with it")
    return tail


def _split(config: ConfigRecord) -> SplitName:
    return "test" if config[messages.SPLIT] == "test" else "validation"


app = ClientApp()
"""What the production bundle names, and nothing that answers: `client.runner.runner` alone answers a hospital's
messages, under the hospital's rules. A SuperNode that someone starts by hand finds no function here that trains.
"""
