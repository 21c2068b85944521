"""The messages between server and hospitals: keys, tail vector, evaluation counts, refusals."""
