"""The ClientApp: Flower's messages in, a hospital's answers out."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from client.rules.request import read_request
from client.training.personal_layers import PersonalLayers
from client.training.rounds import evaluate_tail, train_round, trunk_digest
from client.training.site import Site
from common.dataset.split_names import SplitName
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
"""Where the hospital that a message is for keeps its personal layers; called only under plans that leave it some."""


def build_client_app(
    load_site: SiteLoader,
    layers_folder: LayersFolder,
    adapt_plan: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan,
) -> ClientApp:
    """Build a ClientApp that answers for the hospital that `load_site` returns.

    Parameters
    ----------
    load_site : callable
        Called with the plan, Flower's context and the message's config for every message: it should cache.
    layers_folder : callable
        Called with the message's config.
    adapt_plan : callable
        Turns the coordinator's plan into the one that this site carries out: with its own paths, on its own device.

    Returns
    -------
    ClientApp
        Answers `query` (who are you, how many images, which trunk), `train` (one round) and `evaluate` (counts only).
    """
    app = ClientApp()

    def read(message: Message, context: Context) -> _SiteRequest:
        request = read_request(message)
        plan = adapt_plan(request.plan)
        return _SiteRequest(message, request.config, plan, load_site(plan, context, request.config), layers_folder)

    @app.query()
    def query(message: Message, context: Context) -> Message:
        return Message(_introduce(read(message, context)), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return Message(_train(read(message, context)), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return Message(_evaluate(read(message, context)), reply_to=message)

    return app


class _SiteRequest(NamedTuple):
    """A message that was read, and the hospital that answers it."""

    message: Message
    config: ConfigRecord
    plan: TrainingPlan
    site: Site
    layers_folder: LayersFolder

    @property
    def round_number(self) -> int:
        return messages.read_int(self.config, messages.ROUND)

    @property
    def split(self) -> SplitName:
        return "test" if self.config[messages.SPLIT] == "test" else "validation"

    def tail(self) -> NDArray[np.float32]:
        """Return the tail of the message; raises `InputError` if it is not the one that was sent."""
        tail = messages.read_tail(self.message.content)
        if tail_digest(tail) != self.config[messages.TAIL_DIGEST]:
            raise InputError(
                "the tail of a message was damaged on its way: its digest is not the one that came with it"
            )
        return tail

    def personal_layers(self) -> PersonalLayers | None:
        return personal_layers(self.plan, self.site, self.config, self.layers_folder)

    def receipt(self) -> ConfigRecord:
        return ConfigRecord({**receipt_of(self.config)})


def _introduce(asked: _SiteRequest) -> RecordDict:
    """Say who this hospital is, how many images it has, and which trunk it computes with."""
    site = asked.site
    identity = {
        messages.NAME: site.name,
        messages.VERSION: version("rarefed"),
        messages.TRUNK_DIGEST: trunk_digest(asked.plan, site),
    }
    counts = {
        messages.TRAIN_IMAGES: len(site.split.train),
        messages.VALIDATION_IMAGES: len(site.split.validation),
        messages.TEST_IMAGES: len(site.split.test),
    }
    config = ConfigRecord({**identity, **receipt_of(asked.config)})
    return RecordDict({messages.CONFIG: config, messages.METRICS: MetricRecord({**counts})})


def _train(asked: _SiteRequest) -> RecordDict:
    """Train one round, and return the change of the tail."""
    number, own = asked.round_number, asked.personal_layers()
    before = own.after(number - 1) if own else None
    update = train_round(asked.plan, asked.site, asked.tail(), number, before)
    if own:
        own.keep(number, update.personal)
    trained = {messages.IMAGES: update.images, messages.TRAIN_LOSS: update.train_loss}
    metrics = MetricRecord({**trained, **counts_to_metrics(update.evaluation)})
    arrays = messages.tail_record(update.change)
    return RecordDict({messages.ARRAYS: arrays, messages.METRICS: metrics, messages.CONFIG: asked.receipt()})


def _evaluate(asked: _SiteRequest) -> RecordDict:
    """Evaluate the tail on one of the hospital's splits."""
    own = asked.personal_layers()
    layers = own.after(asked.round_number) if own else None
    counts = evaluate_tail(asked.plan, asked.site, asked.tail(), asked.split, layers)
    return RecordDict({messages.METRICS: MetricRecord(counts_to_metrics(counts)), messages.CONFIG: asked.receipt()})


def personal_layers(
    plan: TrainingPlan, site: Site, config: ConfigRecord, layers_folder: LayersFolder
) -> PersonalLayers | None:
    """Return the store of a hospital's own layers in a message's federation; None if the plan leaves it none.

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


app = ClientApp()
"""The app that the production bundle names. It answers nothing: `client.runner.runner` alone answers a hospital's
messages, under the hospital's rules. A SuperNode that someone starts by hand finds no function here that trains.
"""
