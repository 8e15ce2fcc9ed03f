"""Programs that people keep their experiments in, a file each: what ``report`` writes a search to."""
