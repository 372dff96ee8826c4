"""Bridges to other tools: runs as TensorBoard event files and in MLflow's store. Each is an extra of its own."""
