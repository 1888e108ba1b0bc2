"""The template's tests. Nothing that they start, Copier in this process among it, has Git's variables.

In a hook those name another repository or index. Copier keeps the environment that it finds when it
is imported, so they go before anything else is.
"""

import os

for _name in [name for name in os.environ if name.startswith("GIT_")]:
    del os.environ[_name]
