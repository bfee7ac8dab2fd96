"""Training data drawn by us: identities, texture painting and the batched portrait studio."""
