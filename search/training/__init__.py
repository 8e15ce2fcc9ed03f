"""Train one job: from decoded images to out-of-fold predictions."""
