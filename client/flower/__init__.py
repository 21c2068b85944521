"""The private side of Flower that a hospital's processes stand on."""
