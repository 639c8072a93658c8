"""What this machine is and can do, on one page: the room behind `hpctrain doctor`."""
