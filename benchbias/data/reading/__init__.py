"""Raw files -> images: fetched, verified, decoded, cached."""
