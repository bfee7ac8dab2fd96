"""Training data drawn by us: the synthetic portrait studio (identities, texture painting, batched rendering)."""
