"""How records are made: stacks, the training loop, processes, the store."""
