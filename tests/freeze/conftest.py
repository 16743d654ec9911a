"""The small course, once a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from channel.served import TinyChannel
from freeze.freeze_kit import Kit, make


@pytest.fixture
def kit(tmp_path: Path, tiny_channel: TinyChannel) -> Kit:
    return make(tmp_path, tiny_channel())
