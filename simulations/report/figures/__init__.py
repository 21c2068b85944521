"""The figures of a study, each drawn once for the page, once for paper."""
