"""An audit as text, JSON, markdown, HTML, and as lists of the answers that changed. No torch."""
