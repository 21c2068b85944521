"""What travels between server and hospitals."""
