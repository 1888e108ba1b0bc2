"""Does what a Dockerfile says without a container engine: every stage in a folder of its own.

A path like /app is below that folder, and the base image is a Python of this machine. Nothing is
isolated: it shows that the steps work and what they leave, not what an engine adds.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils import exclude_paths
from dockerfile_parse import DockerfileParser

from tests.environments import clean_environment

UV_IMAGE = re.compile(r"ghcr\.io/astral-sh/uv:\d+\.\d+\.\d+$")


@dataclass
class Stage:
    """What a stage has become."""

    root: Path
    variables: dict[str, str]
    folder: str = "/"
    user: str = "root"
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    @property
    def app(self) -> Path:
        """The working directory."""
        return self.root / self.folder.lstrip("/")

    def environment(self) -> dict[str, str]:
        """What a command in the stage finds, paths included; of this machine nothing of Django's."""
        paths = self.variables["PATH"].split(":")
        own = [f"{self.root}{p}" for p in paths if (self.root / p.lstrip("/")).is_dir()]
        path = ":".join([*own, *paths])
        return {**clean_environment(), **self.variables, "PATH": path}


def build(context: Path, scratch: Path, python: str, uv: str) -> dict[str, Stage]:
    """The stages of the Dockerfile in `context`. Raises AssertionError for a step that fails."""
    parser = DockerfileParser(str(context))
    stages: dict[str, Stage] = {}
    for step in parser.structure:
        instruction, value = step["instruction"], step["value"]
        if instruction == "FROM":
            base, _, name = value.split()
            stages[name] = stage = _begin(scratch / name, stages.get(base), python)
        elif instruction == "ENV":
            for pair in shlex.split(value):
                key, text = pair.split("=", 1)
                stage.variables[key] = text.replace("$PATH", stage.variables["PATH"])
        elif instruction == "WORKDIR":
            stage.folder = value
            stage.app.mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            _copy(value, stage, stages, context, uv)
        elif instruction == "RUN":
            command = re.sub(r"^(--mount=type=cache,\S+\s+)*", "", value)
            process = subprocess.run(
                ["sh", "-c", command],
                cwd=stage.app,
                env=stage.environment(),
                capture_output=True,
                text=True,
                check=False,
                umask=0o022,  # an image's, whatever this machine's is
            )
            assert process.returncode == 0, f"{command}:\n{process.stdout}{process.stderr}"
        elif instruction == "USER":
            stage.user = value
        elif instruction == "CMD":
            stage.command = json.loads(value)
        elif instruction == "HEALTHCHECK":
            stage.healthcheck = json.loads(value.split("CMD ", 1)[1])
        else:
            assert instruction in ("COMMENT", "EXPOSE"), instruction
    return stages


def _begin(root: Path, base: Stage | None, python: str) -> Stage:
    if not base:
        root.mkdir(parents=True)
        return Stage(root, {"PATH": f"/usr/local/bin:{Path(python).parent}:/usr/bin:/bin"})
    shutil.copytree(base.root, root, symlinks=True)
    return Stage(root, dict(base.variables), base.folder)


def _copy(value: str, stage: Stage, stages: dict[str, Stage], context: Path, uv: str) -> None:
    *sources, target = value.split()
    came_from = sources.pop(0).removeprefix("--from=") if sources[0].startswith("--from=") else ""
    into = stage.root / target.lstrip("/") if target.startswith("/") else stage.app / target
    if came_from in stages:
        for path in sources:
            origin = stages[came_from].root / path.lstrip("/")
            shutil.copytree(origin, into, symlinks=True, dirs_exist_ok=True)
    elif came_from:
        assert UV_IMAGE.match(came_from), came_from
        assert sources == ["/uv"]
        into.mkdir(parents=True, exist_ok=True)
        (into / "uv").symlink_to(uv)
    else:
        ignored = (context / ".dockerignore").read_text("utf-8").splitlines()
        patterns = [line for line in ignored if line and not line.startswith("#")]
        assert {"Dockerfile", ".*"} <= {*patterns}  # the library keeps the two all the same
        for path in exclude_paths(str(context), patterns) - {"Dockerfile", ".dockerignore"}:
            if (context / path).is_file() and (sources == ["."] or path in sources):
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(context / path, into / path)
                for folder in [*Path(path).parents][:-1]:
                    shutil.copymode(context / folder, into / folder)
        missing = [path for path in sources if not (context / path).exists()]
        assert not missing, f"not in the context: {missing}"


def contain(stage: Stage, scratch: Path) -> tuple[list[str], dict[str, str]]:
    """What to put before a command of a stage, and its environment: nothing but `scratch` is writable.

    The files lose their write bits, and root its power to write regardless.
    """
    for path in [stage.root, *stage.root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    environment = {**stage.environment(), "HOME": str(scratch), "TMPDIR": str(scratch)}
    drop = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    return drop if os.geteuid() == 0 else [], environment
