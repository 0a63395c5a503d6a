"""The ledger: append-only, Merkle-sealed record of every change. Bytes in, proof or typed failure out."""
