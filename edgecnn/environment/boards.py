"""Boards people have on the table: how much memory an app has there."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import unknown_name

KIB = 1024


@dataclass(frozen=True)
class Board:
    """Flash and RAM in bytes, all that there is: what else an app needs has to be taken off."""

    title: str
    chip: str
    core: str
    flash_bytes: int
    ram_bytes: int


# Compared with board files of PlatformIO (Arduinos, Nucleos but the L4R5ZI), pages of RIOT (Nucleo-L4R5ZI, Picos),
# the linker script of the crate rmicrobit (micro:bit V1), and what is said of the nRF52833 by its users (micro:bit V2).
# An Arduino's bootloader takes some of the flash: 64 KiB on the Nano 33 BLE, 16 KiB on the Uno R4, 8 KiB on the Zero.
BOARDS = {
    "arduino-nano-33-ble": Board("Arduino Nano 33 BLE", "nRF52840", "Cortex-M4", 1024 * KIB, 256 * KIB),
    "arduino-uno-r4": Board("Arduino Uno R4", "RA4M1", "Cortex-M4", 256 * KIB, 32 * KIB),
    "arduino-zero": Board("Arduino Zero", "SAMD21G18", "Cortex-M0+", 256 * KIB, 32 * KIB),
    "microbit": Board("micro:bit V1", "nRF51822", "Cortex-M0", 256 * KIB, 16 * KIB),
    "microbit-v2": Board("micro:bit V2", "nRF52833", "Cortex-M4", 512 * KIB, 128 * KIB),
    "nucleo-f103rb": Board("Nucleo-F103RB", "STM32F103RB", "Cortex-M3", 128 * KIB, 20 * KIB),
    "nucleo-f401re": Board("Nucleo-F401RE", "STM32F401RE", "Cortex-M4", 512 * KIB, 96 * KIB),
    "nucleo-f446re": Board("Nucleo-F446RE", "STM32F446RE", "Cortex-M4", 512 * KIB, 128 * KIB),
    "nucleo-l4r5": Board("Nucleo-L4R5ZI", "STM32L4R5ZI", "Cortex-M4", 2048 * KIB, 640 * KIB),
    "pico": Board("Raspberry Pi Pico", "RP2040", "Cortex-M0+", 2048 * KIB, 264 * KIB),
    "pico2": Board("Raspberry Pi Pico 2", "RP2350", "Cortex-M33", 4096 * KIB, 520 * KIB),
}


def pick_board(name: str) -> Board:
    """The board of that name; raises UsageError with the nearest names."""
    if name not in BOARDS:
        raise unknown_name("board", name, BOARDS)
    return BOARDS[name]
