"""How good a classifier is: metrics, ROC curves, score histograms, and counts that hospitals can add up."""
