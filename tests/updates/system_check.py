"""Run Django's system checks in one project after another: a path comes in, a line of JSON goes out.

Each project gets a fork of this process, which has imported what all of them import: some forty
times a second, where a new Python needs a second each.
"""

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

import django
import environs
import httpx
import jinja2
import uvicorn
from django.core import management
from starlette import applications

PRELOADED = (applications, environs, httpx, jinja2, management, uvicorn)


def check(project: str) -> str:
    """What is wrong with the project, or nothing."""
    os.chdir(project)
    sys.path.insert(0, project)
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ["DJANGO_DEVELOPMENT"] = "true"
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            django.setup()
            management.call_command("check")
    except BaseException:
        return f"{printed.getvalue()}{traceback.format_exc()}"
    return ""


def main() -> None:
    """Answer until there is nothing more to read."""
    for line in sys.stdin:
        readable, writable = os.pipe()
        if os.fork() == 0:
            os.write(writable, json.dumps(check(line.strip()))[:60000].encode())
            os._exit(0)
        os.close(writable)
        os.wait()
        with os.fdopen(readable) as answer:
            print(answer.read(), flush=True)


if __name__ == "__main__":
    main()
