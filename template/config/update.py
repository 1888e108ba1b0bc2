"""A system check of `manage.py`: that everything which `copier update` brought is merged."""

import os
import shutil
import subprocess
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

FIND_UNMERGED = (
    "diff  --name-only  --diff-filter=U  --relative",
    "grep  -lE  --untracked  ^(<<<<<<< before|>>>>>>> after) updating",
    # Those that Git ignores too, but not what packages have in .venv or node_modules.
    "ls-files  --others  --exclude-standard  --exclude=!*.rej  *.rej",
)


def check_update(**_: Any) -> list[CheckMessage]:
    """fanout.E003: all that `copier update` brought is merged; it exits 0. fanout.W005: Git says so."""
    git = shutil.which("git") if settings.DEBUG else None
    # Inside a hook, Git's variables name another repository or index than that of BASE_DIR.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    unmerged: dict[str, None] = {}
    for command in FIND_UNMERGED if git else ():
        process = subprocess.run(  # noqa: S603 - no part of the command is anybody's input
            [str(git), "-c", "core.quotePath=false", *command.split("  ")],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,  # no repository has nothing unmerged
        )
        unmerged |= dict.fromkeys(process.stdout.splitlines())
        if "safe.directory" in process.stderr:
            message = "The project is somebody else's: Git does not say what is not merged."
            hint = f"Run {process.stderr.splitlines()[-1].strip()}"
            return [Warning(message, hint=hint, id="fanout.W005")]
    hint = "Keep what is right of both sides, delete any .rej, then run git add on it."
    return [
        Error(f"{path} has changes that an update could not merge.", hint=hint, id="fanout.E003")
        for path in unmerged
    ]
