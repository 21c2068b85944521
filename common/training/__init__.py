"""How a tail is trained and used for predictions, in every arm and every hospital alike."""
