"""Training MoCE-IR: losses, data, and a run that can be killed, resumed and spread over processes."""
