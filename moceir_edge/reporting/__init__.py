"""The report: what a person sees of a run."""
