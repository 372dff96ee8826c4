"""mnistexp: small, fast and honest experiments on the first 1,000 MNIST digits."""

__version__ = "0.1.0"
