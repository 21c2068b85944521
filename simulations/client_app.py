"""The simulation's ClientApp: any node answers for whichever site a message names, and does the study's other work.

So the number of sites does not depend on how many nodes Flower was told to simulate, and all trainings of a study run
in Flower's pool of workers, whether they belong to a federation or not.

Flower loads this module before it starts its workers. It imports little, so that they start at once; what answers
messages is imported by each worker with its first message.
"""

from functools import lru_cache

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from simulations.study.messages import ALONE, PREDICT, WARM_UP

app = ClientApp()


@app.query()
@app.query(WARM_UP)
@app.train()
@app.train(ALONE)
@app.evaluate()
@app.evaluate(PREDICT)
def answer(message: Message, context: Context) -> Message:
    """Answer any message of a simulation."""
    return _site_app()(message, context)


@lru_cache(maxsize=1)
def _site_app() -> ClientApp:
    from simulations.study.site_app import build_site_app

    return build_site_app()
