"""Networks with removed units cut to smaller ones that give the same logits: found by what is zero, cut, and tried."""
