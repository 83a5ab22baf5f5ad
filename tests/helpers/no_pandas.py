"""Code to run first in a child that is to be without pandas: pyarrow takes it along where it is
installed, as the tests need it and a user does not."""

from __future__ import annotations

NO_PANDAS = """
import sys
class NoPandas:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoPandas)
"""
