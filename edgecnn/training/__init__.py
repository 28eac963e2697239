"""Training a Keras model, and what begins a run."""
