"""The training loop: knows epochs, steps, ranks and checkpoints, and no science."""
