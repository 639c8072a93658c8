"""What the ranks of a job find, measured by themselves; `hpctrain doctor` starts it."""
