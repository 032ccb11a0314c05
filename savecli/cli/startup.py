"""What a command does without, so that it starts in half the time."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

# The client of LanceDB's cloud: `import lancedb` runs it, 0.7 s of making classes for a server that is never asked.
CLOUD_CLIENT = "lance_namespace_urllib3_client"


def put_off_cloud_client() -> None:
    """Let `import lancedb` import the cloud client's records only; the rest is loaded once a name of it is wanted.

    Nothing happens where the client is imported already, or where LanceDB does not bring one.
    """
    spec = None if CLOUD_CLIENT in sys.modules else importlib.util.find_spec(CLOUD_CLIENT)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    loader = spec.loader
    module = importlib.util.module_from_spec(spec)

    def load_and_look_up(name: str) -> Any:
        if name.startswith("__"):  # asked for by the import system itself
            raise AttributeError(name)
        del module.__getattr__
        loader.exec_module(module)
        return getattr(module, name)

    setattr(module, "__getattr__", load_and_look_up)  # noqa: B010
    sys.modules[CLOUD_CLIENT] = module
