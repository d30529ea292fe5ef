"""Keeping memory between steps: the system hands out every page anew, and zeroed, where a step gives it back."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""

LARGEST = 2**30
"""Bytes of a block that still comes from memory the process keeps."""

OLDER = 2**25
"""What older releases of the library take at most."""


def keep_freed_memory() -> bool:
    """Let the C library reuse what tensors leave behind, for the rest of the process; whether it can (glibc)."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    kept = library.mallopt(M_MMAP_THRESHOLD, LARGEST) or library.mallopt(M_MMAP_THRESHOLD, OLDER)
    return bool(kept and library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
