"""Pictures, degradations, samples and how they are split."""
