"""The command line: `treadle`."""

import gc

gc.disable()  # loading makes many objects and no garbage: without looking for it a start is a tenth faster
try:
    from app.cli.root import main
finally:
    gc.freeze()
    gc.enable()

__all__ = ["main"]
