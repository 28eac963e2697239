"""Read contract.json and training.json of schema 1, whose model a new run can start from."""

from __future__ import annotations

from typing import Any

NAMES = {
    "choices": "recipe_settings",
    "colour": "color_space",
    "confusion": "confusion_matrix",
    "hold_out": "validation_images",
    "image": "input",
    "scheduled_epochs": "lr_schedule_epochs",
}
SETTINGS = {
    "scheduled": "lr schedule",
    "flip": "random flip",
    "shift": "random shift",
    "teacher share": "distillation alpha",
    "teacher temperature": "distillation temperature",
}


def upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """A contract or a training record of schema 1, as JSON, in the current schema."""
    new: dict[str, Any] = {NAMES.get(name, name): value for name, value in old.items()} | {"schema": 2}
    if new.get("color_space") == "grey":
        new["color_space"] = "grayscale"
    if new.get("recipe") == "best":
        new["recipe"] = "tuned"
    if "recipe_settings" in new:
        new["recipe_settings"] = ", ".join(_setting(words) for words in str(new["recipe_settings"]).split(", "))
    return new


def _setting(words: str) -> str:
    """A recipe's setting under its name now: "flip" is "random flip", "shift 2" is "random shift 2"."""
    name = next((name for name in SETTINGS if words == name or words.startswith(f"{name} ")), "")
    return SETTINGS[name] + words[len(name) :] if name else words
