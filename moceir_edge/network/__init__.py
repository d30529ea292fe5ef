"""MoCE-IR: its shapes, its modules, its checkpoints and its static form."""
