"""Which Treadle this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("treadle")
except PackageNotFoundError:  # a checkout that was never installed
    VERSION = "0.0.0"
