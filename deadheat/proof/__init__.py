"""Proofs in words: why a run cannot be explained, and which kinds of repair close its class of bug."""

from deadheat.proof.proof import UNKNOWN, Pair, Proof, prove

__all__ = ["UNKNOWN", "Pair", "Proof", "prove"]
