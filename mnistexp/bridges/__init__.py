"""Export to other tools: TensorBoard event files and MLflow's store. Each is an optional extra."""
