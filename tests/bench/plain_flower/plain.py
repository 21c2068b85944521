"""A federation as Flower's own tutorial builds one: FedAvg over the whole state, images decoded anew for every message.

The network and the local epochs are those of rarefed's default plan, and so are the frozen stages unless the run config
says that the whole network is trained, as a tutorial does. Given a manifest of test images, it prints their
probabilities at the end.
"""

import csv
import json
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

CHANGES = (
    transforms.RandomHorizontalFlip(),
    transforms.RandomRotation(20),
    transforms.ColorJitter(brightness=0.2, contrast=0.2),
)

client = ClientApp()
server = ServerApp()


class Images(Dataset):
    """The images of a manifest, or those of one site."""

    def __init__(self, manifest: Path, site: str = "", changes: tuple[nn.Module, ...] = ()) -> None:
        rows = [row for row in csv.DictReader(manifest.open()) if site in ("", row["site"])]
        self.items = [(manifest.parent / row["path"], int(row["label"] == "positive")) for row in rows]
        self.change = transforms.Compose(
            [
                transforms.Resize((SIDE, SIDE)),
                *changes,
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


def build(whole: bool) -> nn.Module:
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(find_weights(FAMILIES["efficientnet_lite0"], "auto").state_dict())
    network.reset_classifier(2)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = whole or name.startswith(TRAINED)
    return network


@client.train()
def train(message: Message, context: Context) -> Message:
    torch.set_num_threads(1)
    config = context.run_config
    manifest, site = Path(config["data"]), context.node_config["partition-id"]
    torch.manual_seed(1000 * config["seed"] + 100 * site + message.content["config"]["server-round"])
    images = Images(manifest, sites_of(manifest)[site], CHANGES)
    network = build(config["whole"])
    network.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad], lr=LEARNING_RATE)
    network.train(config["whole"])  # else BatchNorm keeps its statistics, as in rarefed
    for _ in range(config["epochs"]):
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

    config = context.run_config
    torch.manual_seed(config["seed"])
    network = build(config["whole"])
    strategy = FedAvg(fraction_evaluate=0.0)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(network.state_dict()),
        num_rounds=config["rounds"],
        evaluate_fn=tell,
    )
    if config["test"]:
        network.load_state_dict(result.arrays.to_torch_state_dict())
        print("PROBABILITIES", json.dumps(predict(network.eval(), Images(Path(config["test"])))), flush=True)


@torch.inference_mode()
def predict(network: nn.Module, images: Images) -> list[list[float]]:
    return [row for inputs, _ in DataLoader(images, batch_size=BATCH) for row in network(inputs).softmax(1).tolist()]
