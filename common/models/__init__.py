"""Pretrained networks, cut into a frozen trunk and a trained tail."""
