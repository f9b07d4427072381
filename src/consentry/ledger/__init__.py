"""The tamper-evident log: a Merkle tree over entries, signed checkpoints, proofs."""
