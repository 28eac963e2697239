"""From a Keras model to files for devices."""
