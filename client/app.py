"""The ClientApp: Flower's messages in, a hospital's answers out."""

from collections.abc import Callable
from importlib.metadata import version

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from client.rounds import SplitName, score_tail, train_round, trunk_digest
from client.site import Site
from common import exchange
from common.errors import InputError
from common.plan import TrainingPlan

SiteLoader = Callable[[TrainingPlan, Context, ConfigRecord], Site]
"""Finds the hospital that a message is for; what differs between a real hospital and a simulated one."""


def build_client_app(
    load_site: SiteLoader, as_done_here: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan
) -> ClientApp:
    """Build a ClientApp that answers for the hospital that `load_site` returns.

    Parameters
    ----------
    load_site : callable
        Called with the plan, Flower's context and the message's config for every message: it should remember.
    as_done_here : callable
        Turns the coordinator's plan into the one that this site carries out: with its own paths, on its own device.

    Returns
    -------
    ClientApp
        Answers `query` (who are you, how many images, which trunk), `train` (one round) and `evaluate` (scores only).
    """
    app = ClientApp()

    def asked(message: Message) -> tuple[TrainingPlan, ConfigRecord]:
        plan, config = plan_of(message)
        return as_done_here(plan), config

    @app.query()
    def query(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        identity = ConfigRecord(
            {
                exchange.NAME: site.name,
                exchange.VERSION: version("rarefed"),
                exchange.TRUNK_DIGEST: trunk_digest(plan, site),
            }
        )
        counts = MetricRecord(
            {
                exchange.TRAIN_IMAGES: len(site.split.train),
                exchange.VALIDATION_IMAGES: len(site.split.validation),
                exchange.TEST_IMAGES: len(site.split.test),
            }
        )
        return Message(RecordDict({exchange.CONFIG: identity, exchange.METRICS: counts}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        update = train_round(plan, site, exchange.tail_of(message.content), _round(config))
        metrics = MetricRecord(
            {
                exchange.IMAGES: update.images,
                exchange.TRAIN_LOSS: update.train_loss,
                **exchange.score_to_metrics(update.score),
            }
        )
        content = RecordDict({exchange.ARRAYS: exchange.tail_record(update.change), exchange.METRICS: metrics})
        return Message(content, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        plan, config = asked(message)
        site = load_site(plan, context, config)
        score = score_tail(plan, site, exchange.tail_of(message.content), _split(config))
        metrics = MetricRecord(exchange.score_to_metrics(score))
        return Message(RecordDict({exchange.METRICS: metrics}), reply_to=message)

    return app


def plan_of(message: Message) -> tuple[TrainingPlan, ConfigRecord]:
    """Return the checked plan that came with a message, and the record it came in.

    Raises
    ------
    InputError
        If there is none, or it does not have the digest that came with it.
    """
    config = message.content[exchange.CONFIG]
    if not isinstance(config, ConfigRecord):
        raise InputError(f"a message came without its {exchange.CONFIG} record")
    plan = TrainingPlan.from_json(str(config[exchange.PLAN]))
    if plan.digest != config[exchange.PLAN_DIGEST]:
        raise InputError(
            "the plan of a message does not have the digest that came with it: server and site read plans differently"
        )
    return plan, config


def _round(config: ConfigRecord) -> int:
    number = config[exchange.ROUND]
    assert isinstance(number, int)
    return number


def _split(config: ConfigRecord) -> SplitName:
    return "test" if config[exchange.SPLIT] == "test" else "validation"


app = ClientApp()
"""What the production bundle names, and nothing that answers: a hospital's messages are answered by `client.runner`
alone, under the hospital's rules. A SuperNode that someone starts by hand finds no function here that trains.
"""
