"""Damaged files: no crash, no hang, no row lost or changed without a word. The benchmark tries ten thousand, the tests some hundreds."""

import json
import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.mark.parametrize(("kind", "tries"), [("csv", 150), ("parquet", 150), ("checked", 200), ("footer", 100)])
def test_damage_is_an_error_or_is_accounted_for(kind, tries, tmp_path):
    done = subprocess.run([sys.executable, Path(fuzz.__file__), kind, "100000", str(100000 + tries)], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, f"crashed at seed {done.stderr.splitlines()[-1]}"
    seen = json.loads(done.stdout)
    assert not [s for s in seen if s.startswith("FAILED")], seen
    assert sum(seen.values()) == tries and len(seen) >= 2


def test_the_check_would_notice_a_lost_row(tmp_path):
    "A file from which a line is missing is checked against a content that still has it."
    path = tmp_path / "log.csv"
    fuzz.log().to_csv(path, index=False)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(whole.splitlines(keepends=True)[1], b""))
    with pytest.raises(AssertionError, match="lost or changed"):
        fuzz.check_csv(whole, fuzz.load(path))
    path.write_bytes(whole)
    assert fuzz.check_csv(whole, fuzz.load(path)) == "loaded"
    assert fuzz.damaged(whole, np.random.default_rng(1)) != whole


def test_the_check_would_notice_a_changed_value(tmp_path):
    path = tmp_path / "log.parquet"
    fuzz.write("parquet", path)
    assert fuzz.check_parquet(path, fuzz.load(path), "parquet") == "loaded"
    with pytest.raises(AssertionError, match="said of checksums"):
        fuzz.check_parquet(path, fuzz.load(path), "checked")
    for log in (fuzz.log().assign(amount="1.00"), fuzz.log().head(30)):
        pq.write_table(pa.Table.from_pandas(log), path)
        assert fuzz.check_parquet(path, fuzz.load(path), "parquet") == "loaded, a value changed, said to carry no checksum, pyarrow reads the same"
        pq.write_table(pa.Table.from_pandas(log), path, write_page_checksum=True)
        with pytest.raises(AssertionError, match="lost or changed"):
            fuzz.check_parquet(path, fuzz.load(path), "checked")
