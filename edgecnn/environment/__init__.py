"""Facts of this machine: its CPU and instruction sets, the packages installed, and how to get those that are not."""

from edgecnn.environment.cache import user_cache
from edgecnn.environment.installing import (
    import_name,
    install_command,
    missing_package,
    not_installed,
    pip_install,
    require,
    require_extra,
    requirements,
)
from edgecnn.environment.machine import DOT_PRODUCTS, INSTRUCTION_SETS, import_path, this_machine, usable_cores
from edgecnn.environment.packages import MISSING, UNKNOWN, canonical, installed_versions, runtime_versions, versions_of

__all__ = [
    "DOT_PRODUCTS",
    "INSTRUCTION_SETS",
    "MISSING",
    "UNKNOWN",
    "canonical",
    "import_name",
    "import_path",
    "install_command",
    "installed_versions",
    "missing_package",
    "not_installed",
    "pip_install",
    "require",
    "require_extra",
    "requirements",
    "runtime_versions",
    "this_machine",
    "usable_cores",
    "user_cache",
    "versions_of",
]
