"""The authors' files: genotypes and checkpoints read, written and converted."""
