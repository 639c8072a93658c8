"""What `hpctrain evaluate` leaves below eval/, by name; those who draw it need no torch."""

NUMBERS = "whole.json"
PICTURES = "whole.npz"
