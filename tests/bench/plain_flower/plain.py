"""A federation as Flower's own tutorial builds one: FedAvg over the whole state, images decoded anew for every message.

The network, the frozen stages, the rounds and the local epochs are those of rarefed's default plan.
"""

import csv
import time
from pathlib import Path

import timm
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES

SIDE, BATCH, LEARNING_RATE, TRAINED = 224, 8, 3e-4, ("blocks.5", "blocks.6", "conv_head", "bn2", "classifier")

client = ClientApp()
server = ServerApp()


class Images(Dataset):
    """The images of one site of a manifest."""

    def __init__(self, manifest: Path, site: str) -> None:
        rows = [row for row in csv.DictReader(manifest.open()) if row["site"] == site]
        self.items = [(manifest.parent / row["path"], int(row["label"] == "positive")) for row in rows]
        self.change = transforms.Compose(
            [
                transforms.Resize((SIDE, SIDE)),
                transforms.RandomHorizontalFlip(),
                transforms.RandomRotation(20),
                transforms.ColorJitter(brightness=0.2, contrast=0.2),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.items[index]
        with Image.open(path) as image:
            return self.change(image.convert("RGB")), label


def sites_of(manifest: Path) -> list[str]:
    return sorted({row["site"] for row in csv.DictReader(manifest.open())})


def build() -> nn.Module:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(find_weights(FAMILIES["efficientnet_lite0"], "auto").state_dict())
    network.reset_classifier(2)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = name.startswith(TRAINED)
    return network


@client.train()
def train(message: Message, context: Context) -> Message:
    torch.set_num_threads(1)
    manifest = Path(context.run_config["data"])
    images = Images(manifest, sites_of(manifest)[context.node_config["partition-id"]])
    network = build()
    network.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], lr=LEARNING_RATE)
    network.eval()  # BatchNorm keeps its statistics, as in rarefed
    for _ in range(context.run_config["epochs"]):
        for inputs, labels in DataLoader(images, batch_size=BATCH, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs), labels)
            loss.backward()
            optimizer.step()
    metrics = MetricRecord({"loss": loss.item(), "num-examples": len(images)})
    return Message(RecordDict({"arrays": ArrayRecord(network.state_dict()), "metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    def tell(number: int, arrays: ArrayRecord) -> None:
        print(f"ROUND {number} {time.time():.3f}", flush=True)

    strategy = FedAvg(fraction_evaluate=0.0)
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(build().state_dict()),
        num_rounds=context.run_config["rounds"],
        evaluate_fn=tell,
    )
