"""What an active server could learn from this hospital, and the limits on it that no plan can move."""
