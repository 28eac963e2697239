"""An image classifier that answers as its trained model does: `Classifier().classify("photo.jpg")[0].label`."""

from .classifier import Classifier, Label
from .errors import InputError

__all__ = ["Classifier", "InputError", "Label"]
