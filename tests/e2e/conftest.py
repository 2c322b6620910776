import pytest

from harness import Rig


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.finish()
