import os
import subprocess

import pytest

from harness import Rig
from harness.browser import chromium
from harness.netns import NetworkRig, why_unavailable
from harness.tls import Pki, TlsRig


@pytest.fixture
def rig():
    rig = TlsRig() if os.environ.get("SLUICE_TEST_TLS") else Rig()
    yield rig
    rig.finish()


@pytest.fixture
def pki(tmp_path):
    """Certificates of the test's own."""
    return Pki(tmp_path)


@pytest.fixture
def browser(rig, tmp_path):
    """Ends before the gateway does."""
    del rig
    with chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def network():
    """A rig over links that can fail. The test's thread is where its gateway is."""
    if reason := why_unavailable():
        pytest.skip(reason)
    rig = NetworkRig()
    with rig.middle:
        yield rig
        rig.finish()


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], capture_output=True,
                      check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
