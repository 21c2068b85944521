"""The simulation's ClientApp: any node answers for whichever site a message names.

So the number of sites does not depend on how many nodes Flower was told to simulate.
"""

from flwr.app import ConfigRecord, Context

from client.app import build_client_app
from client.site import Site
from common import exchange
from common.plan import TrainingPlan
from simulations.hospitals import load_hospitals


def simulated_site(plan: TrainingPlan, context: Context, config: ConfigRecord) -> Site:
    """Return the site whose number the message carries."""
    number = config[exchange.SITE]
    assert isinstance(number, int)
    return load_hospitals(plan).sites[number]


app = build_client_app(simulated_site)
