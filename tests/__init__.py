"""The template's tests. Nothing that they start, Copier in this process among it, has what a shell says.

In a hook Git's variables name another repository or index. Copier keeps the environment that it
finds when it is imported, so they go before anything else is. A shell that runs the tests in the
background lets them, and what they start, ignore Ctrl-C.
"""

import os
import signal

_OTHERS = ("GIT_", "OTEL_", "FORCE_COLOR", "PYTHONPATH", "WEB_CONCURRENCY")
for _name in [name for name in os.environ if name.startswith(_OTHERS)]:
    del os.environ[_name]
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
os.environ["no_proxy"] = f"{_direct},127.0.0.1,localhost"  # else only uv and npm want one
signal.signal(signal.SIGINT, signal.default_int_handler)
