"""The trainings of a comparison study, and how they are shared out to workers."""
