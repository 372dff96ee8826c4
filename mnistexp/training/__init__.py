"""One training: the network, its optimizer, the loop over epochs, and what comes of it."""
