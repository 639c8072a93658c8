"""What can go wrong beside the arithmetic: hangs, lost ranks and files, numbers that are none."""
