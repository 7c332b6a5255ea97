"""What several test files share."""

import subprocess
from pathlib import Path

import pytest

from retail_insight.contract import Shop, load_shop

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    "The files of the project, committed or about to be."
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in sorted(set(done.stdout.split("\0")) - {""}) if (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def journey() -> Shop:
    "The embedded real shop."
    return load_shop("complete_journey")


@pytest.fixture(scope="session", params=["corner", "complete_journey"])
def shop(request) -> Shop:
    "Both embedded shops, one after the other."
    return load_shop(request.param)
