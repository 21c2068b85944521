"""The network families' pretrained weights, and a network cut into frozen trunk and trained tail."""
