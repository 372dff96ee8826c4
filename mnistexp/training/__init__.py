"""One training: the network, its optimizer, the loop over epochs, and the results."""
