"""Projects in containers: what is asked for is there, is valid, and does what it says."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.conftest import ROOT, Copy, copy_project
from tests.dockerfile import Stage, build, contain
from tests.environments import Environment, clean_environment, find_pythons, uv
from tests.test_rendering import PROJECT_NAMES, awkward_names, read_files
from tests.updates.versions import commit, git, replace

COUNTS = [1, 2, 32]
CONTAINER = {".dockerignore", "Dockerfile", "compose.yaml"}
SECRETS = [".env", "homepage/.env.local", "secret.env", "db.sqlite3", "db.sqlite3-wal"]
KUBERNETES = ["1.30", "1.37"]  # the first that has all we use, and the newest with a schema here
OVERLAYS = ["dev", "prod"]


def find_tool(name: str) -> str:
    """The path of a program that a package of the dev group brings, or a loud skip."""
    path = shutil.which(name, path=str(Path(sys.executable).parent))
    if not path:
        assert not os.environ.get("CI"), f"{name} has to be there in CI"
        pytest.skip(f"There is no {name} for this system among the packages of the dev group.")
    return path


def run(*command: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a command whose output counts."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=COUNTS)
def project(request: pytest.FixtureRequest, copy: Copy) -> Path:
    """A project for Kubernetes, with awkward names."""
    count = request.param
    return copy(
        project_name=PROJECT_NAMES[count % len(PROJECT_NAMES)],
        service_count=count,
        service_names=awkward_names(count),
        deploy="kubernetes",
    )


# The answer


def test_what_is_not_chosen_leaves_no_trace(copy: Copy) -> None:
    none, container, kubernetes = (
        read_files(copy(deploy, deploy=deploy)) for deploy in ("none", "container", "kubernetes")
    )
    assert container.keys() - none.keys() == CONTAINER | {".github/workflows/image.yml"}
    assert b"image.yml" in container["README.md"]
    assert {path.split("/")[0] for path in kubernetes.keys() - container.keys()} == {"deploy"}
    for files, traces in (
        (none, rb"docker|compose\.yaml|postgres_password|kube|kustom|deploy/|image\.yml"),
        (container, rb"kube|kustom|deploy/"),
    ):
        for path, content in files.items():
            if path not in (".dockerignore", ".copier-answers.yml", ".renovaterc.json"):
                assert not re.search(traces, content.lower()), path


def test_only_the_urls_of_services_depend_on_other_answers(copy: Copy) -> None:
    one, two = (
        read_files(copy(f"p{count}", deploy="kubernetes", service_count=count, style=style))
        for count, style in ((2, "gather"), (5, "stream"))
    )
    changed = {path for path in one if one[path] != two[path]}
    assert {path for path in changed if path.startswith("deploy") or path in CONTAINER} == {
        "deploy/kubernetes/overlays/prod/services.env"
    }


def plant_secrets(project: Path) -> None:
    """Leave what belongs into no image and no repository."""
    for name in SECRETS:
        (project / name).write_text("SECRET", encoding="utf-8")


def test_secrets_stay_out_of_git(project: Path) -> None:
    files = read_files(project).keys()
    plant_secrets(project)
    commit(project, "everything")
    assert {*git(project, "ls-files", "-z").split("\0")[:-1]} == files


# The image


def test_hadolint_has_nothing_to_say(project: Path) -> None:
    found = run(find_tool("hadolint"), "Dockerfile", cwd=project)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.fixture(scope="module")
def stages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """Every stage of a project's Dockerfile."""
    if sys.platform != "linux":
        pytest.skip("The steps of the Dockerfile are for Linux.")
    path = tmp_path_factory.mktemp("image")
    project = copy_project(
        template,
        path / "project",
        deploy="container",
        service_count=3,
        service_names=awkward_names(3),
    )
    pythons = find_pythons()
    python = pythons.get("3.13", list(pythons.values())[-1])
    locked = uv("lock", "--quiet", "--project", str(project), "--python", python)
    assert locked.returncode == 0, locked.stderr
    plant_secrets(project)
    (project / "homepage/secret.env").touch()  # Git does not know that one
    (project / "homepage/fakes").mkdir()
    (project / "homepage/fakes/promo.json").write_text("[]", encoding="utf-8")
    for file in project.rglob("*"):  # as a umask may leave them
        file.chmod(0o777 if file.is_dir() else 0o600)
    executable = os.environ.get("UV") or shutil.which("uv")
    assert executable
    return build(project, path / "stages", python, executable)


def test_the_image_holds_the_site_and_nothing_else(stages: dict[str, Stage]) -> None:
    assert list(stages)[-1] == "site"  # what `docker build .` makes
    app = stages["site"].app
    own = ["comparison", "config", "fakes", "fanout", "homepage"]
    assert {path.name for path in app.iterdir()} == {
        *(*own, ".venv", "__pycache__", "manage.py", "pyproject.toml", "staticfiles", "uv.lock")
    }
    files = [path.name for folder in own for path in (app / folder).rglob("*")]
    assert not [name for name in files if name.startswith(".env") or name.endswith((".env", ".md"))]
    installed = {path.name for path in app.glob(".venv/lib/*/site-packages/*")}
    assert {"django", "opentelemetry", "psycopg", "psycopg_binary", "psycopg_pool"} <= installed
    assert not {"starlette", "pytest", "mypy", "ruff"} & installed
    assert not (stages["site"].root / "usr/local/bin/uv").exists()
    assert not (app / "homepage/fakes").exists()
    assert (stages["fakes"].app / "homepage/fakes/promo.json").exists()


def test_everything_is_compiled_and_collected(stages: dict[str, Stage]) -> None:
    app = stages["site"].app
    modules = [path for path in app.rglob("*.py") if ".venv" not in path.parts]
    assert len(modules) > 40
    for module in modules:
        assert list((module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")), module
    assert list(app.glob(".venv/lib/*/site-packages/django/__pycache__/*.pyc"))
    manifest = json.loads((app / "staticfiles/staticfiles.json").read_text("utf-8"))
    for path in ("site.css", "icon.svg", "comparison.css"):
        assert manifest["paths"][path] != path


@pytest.mark.parametrize("name", ["site", "fakes"])
def test_everybody_can_read_the_image_and_only_root_can_change_it(
    stages: dict[str, Stage], name: str
) -> None:
    app = stages[name].app
    for path in [app, *app.rglob("*")]:
        if not path.is_symlink():
            readable = 0o555 if path.is_dir() else 0o444
            assert path.stat().st_mode & (readable | 0o022) == readable, path


@pytest.mark.parametrize("name", ["site", "fakes"])
def test_a_container_runs_as_a_number_that_is_nobody(stages: dict[str, Stage], name: str) -> None:
    user, group = stages[name].user.split(":")
    assert int(user) >= 10000
    assert int(group) >= 10000


def find_port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def start(stage: Stage, scratch: Path, port: int, ready: str, **variables: str) -> Iterator[None]:
    """Run the command of a stage at a port; it has to end well when it is told to."""
    drop, environment = contain(stage, scratch)
    process = subprocess.Popen(
        [*drop, *stage.command, "--port", str(port)],
        cwd=stage.app,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []
    try:
        for line in process.stdout or ():
            printed.append(line)
            if ready in line:
                break
        assert process.poll() is None, "".join(printed)
        yield
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def get(url: str, **headers: str) -> str:
    """What a page says."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:  # noqa: S310
        return str(response.read().decode())


def test_the_site_serves_from_a_file_system_that_is_read_only(
    stages: dict[str, Stage], tmp_path: Path
) -> None:
    site, fakes = stages["site"], stages["fakes"]
    before = sorted(site.app.rglob("*"))
    fakes_port, port = find_port(), find_port()
    secret = base64.b64encode(os.urandom(40)).decode()
    variables = {
        "DJANGO_SECRET_KEY": secret,
        "DJANGO_ALLOWED_HOSTS": "shop.example.com, other.example.com",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "FAKES_URL": f"http://127.0.0.1:{fakes_port}",
    }
    drop, environment = contain(site, tmp_path)
    environment |= variables
    assert subprocess.run([*drop, "touch", "new"], cwd=site.app, check=False).returncode != 0
    migrated = [*drop, "python", "manage.py", "migrate"]
    subprocess.run(migrated, cwd=site.app, env=environment, check=True)
    subprocess.run([*migrated, "--check"], cwd=site.app, env=environment, check=True)
    healthcheck = [part.replace(":8000/", f":{port}/") for part in site.healthcheck]
    assert healthcheck != site.healthcheck

    def is_healthy() -> bool:
        checked = [*drop, *healthcheck]
        quiet = subprocess.DEVNULL
        done = subprocess.run(checked, cwd=site.app, env=environment, check=False, stderr=quiet)
        return done.returncode == 0

    assert not is_healthy()
    with (
        start(fakes, tmp_path, fakes_port, "Fake services at", DJANGO_DEBUG="true"),
        start(site, tmp_path, port, "startup complete", **variables),
    ):
        assert is_healthy()
        host = {"Host": "shop.example.com"}
        assert get(f"http://127.0.0.1:{port}/livez", **host) == "alive\n"
        assert get(f"http://127.0.0.1:{port}/readyz", **host) == "ready\n"
        page = get(f"http://127.0.0.1:{port}/", **host)
        assert page.count("<section") >= 3
        [style] = re.findall(r'href="(/static/site\.\w+\.css)"', page)
        assert "--accent" in get(f"http://127.0.0.1:{port}{style}")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            get(f"http://127.0.0.1:{port}/", Host="elsewhere.example.com")
    assert sorted(site.app.rglob("*")) == before


# Docker Compose


def compose(project: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run Docker Compose, which needs no engine for what it is asked here."""
    return run(find_tool("docker-compose"), *command, cwd=project, **variables)


def test_compose_asks_for_the_secrets_and_takes_those_that_it_shows(
    project: Path, newest: Environment
) -> None:
    refused = compose(project, "config")
    assert refused.returncode != 0
    text = (project / "compose.yaml").read_text("utf-8")
    for name in ("DJANGO_SECRET_KEY", "POSTGRES_PASSWORD"):
        assert f"required variable {name} is missing a value" in refused.stderr
        assert text.count(f"${{{name}:?") == text.count(f"${{{name}")  # no default anywhere
    shutil.copy(project / ".env.example", project / ".env")  # a copy of it is still not enough
    assert compose(project, "config").returncode != 0
    [code] = re.findall(r"uv run python -c '(.*)' >> \.env", text)
    with (project / ".env").open("a", encoding="utf-8") as file:
        file.write(newest.run(project, "python", "-c", code))
    config = compose(project, "config", "--format=json")
    assert (config.returncode, config.stderr) == (0, "")
    services = json.loads(config.stdout)["services"]
    assert services.keys() == {"site", "migrate", "fakes", "postgres", "valkey"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1"
        for needed, condition in service.get("depends_on", {}).items():
            done = condition["condition"] == "service_completed_successfully"
            assert done == (needed == "migrate")
            image_has_it = needed == "site"
            assert done or image_has_it or "healthcheck" in services[needed]
    environment = services["site"]["environment"]
    assert environment["FAKES_URL"] == "http://fakes:8001"
    password = urlsplit(environment["DATABASE_URL"]).password
    assert password == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert len(password or "") > 30
    assert len(environment["DJANGO_SECRET_KEY"]) > 50
    assert services["site"]["build"]["target"] == "site"
    for store in ("postgres", "valkey"):
        assert not services[store]["networks"].keys() & services["fakes"]["networks"].keys()
        assert services[store]["networks"].keys() <= services["site"]["networks"].keys()
    # The settings of the site take what Compose gives it, and it answers where the log says it is.
    check = (
        "import django; django.setup(); from fanout.serving.checks import check_production, check_urls;"
        " from django.test import Client; print(check_production() + check_urls(), *("
        "Client().get('/livez', headers={'host': f'{host}:8000'}).status_code"
        " for host in ('localhost', '127.0.0.1', '0.0.0.0')))"
    )
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": ""}
    assert newest.run(project, "python", "-c", check, **environment) == "[] 200 200 200\n"


# Kubernetes


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Every overlay."""
    return str(request.param)


def kustomize(project: Path, overlay: str) -> str:
    """What `kubectl apply -k` would send."""
    folder = f"deploy/kubernetes/overlays/{overlay}"
    built = run(find_tool("kubectl"), "kustomize", folder, cwd=project)
    assert (built.returncode, built.stderr) == (0, "")
    return built.stdout


def find(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """All of a kind, by their names, without the hashes of generated ones."""
    return {
        re.sub(r"-\w{10}$", "", m["metadata"]["name"]): m for m in manifests if m["kind"] == kind
    }


def test_manifests_are_as_the_published_schemas_want_them(
    project: Path, overlay: str, tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(kustomize(project, overlay), encoding="utf-8")
    for version in KUBERNETES:
        command = ("kubernetes-validate", "--strict", "-k", version, "all.yaml")
        found = run(find_tool(command[0]), *command[1:], cwd=tmp_path)
        assert found.returncode == 0, found.stdout + found.stderr


def test_manifests_fit_together(project: Path, overlay: str) -> None:
    manifests = list(yaml.safe_load_all(kustomize(project, overlay)))
    assert not find(manifests, "Secret")  # by reference only
    [namespace] = find(manifests, "Namespace")
    assert {m["metadata"].get("namespace", namespace) for m in manifests} == {namespace}
    deployments, jobs = find(manifests, "Deployment"), find(manifests, "Job")
    pods = {name: m["spec"]["template"] for name, m in {**deployments, **jobs}.items()}
    assert pods.keys() == {"site", "fakes" if overlay == "dev" else "migrate"}
    config_maps = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    for name, pod in pods.items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= container["resources"].keys()
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]
            for source in container.get("envFrom", []):
                ref = source.get("configMapRef")
                assert (
                    ref["name"] in config_maps if ref else source == {"secretRef": {"name": "site"}}
                )
        if name in deployments:
            assert deployments[name]["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    for service in find(manifests, "Service").values():
        [pod] = [p for p in pods.values() if p["metadata"]["labels"] == service["spec"]["selector"]]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= {
            port["name"] for container in pod["spec"]["containers"] for port in container["ports"]
        }
    policies = find(manifests, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert find(manifests, kind).keys() == ({"site"} if overlay == "prod" else set())
    assert "replicas" not in deployments["site"]["spec"]


def test_the_deployment_fits_the_command_that_it_runs(
    project: Path, overlay: str, newest: Environment
) -> None:
    manifests = list(yaml.safe_load_all(kustomize(project, overlay)))
    spec = find(manifests, "Deployment")["site"]["spec"]["template"]["spec"]
    [site] = spec["containers"]
    deadline = re.findall(
        r'"FANOUT_DEADLINE", default=([\d.]+)', (project / "config/base.py").read_text("utf-8")
    )
    sleep = site["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= sleep + float(deadline[0]) + 1 + 2
    assert site["ports"] == [{"name": "http", "containerPort": 8000}]
    variables = find(manifests, "ConfigMap")["site"]["data"]
    hosts = variables["DJANGO_ALLOWED_HOSTS"].split(",")
    for probe, path in (("startup", "livez"), ("liveness", "livez"), ("readiness", "readyz")):
        request = site[f"{probe}Probe"]["httpGet"]
        assert request["path"] == f"/{path}"
        assert request["httpHeaders"][0]["name"] == "Host"
        assert request["httpHeaders"][0]["value"] in hosts
    for ingress in find(manifests, "Ingress").values():
        assert [rule["host"] for rule in ingress["spec"]["rules"]] == hosts[:1]
        assert ingress["spec"]["tls"][0]["hosts"] == hosts[:1]
    # With the Secret, nothing is missing in production.
    variables |= find(manifests, "ConfigMap")["services"]["data"]
    variables |= {"DJANGO_SECRET_KEY": "x" * 50, "DJANGO_SETTINGS_MODULE": "config.settings"}
    show = (
        "import django; django.setup(); from fanout.serving.checks import check_production, check_urls;"
        " from fanout.calls.service import services; print(check_production() + check_urls(),"
        " *(service.url for service in services()))"
    )
    problems, *urls = newest.run(project, "python", "-c", show, **variables).split()
    assert problems == "[]"
    hosts = [urlsplit(url).hostname or "" for url in urls]
    if overlay == "dev":
        assert set(hosts) == {"fakes"}
    else:
        assert len(set(hosts)) == len(hosts)
        assert all(re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", host) for host in hosts)


def reaches(peer: dict[str, Any], target: str) -> bool:
    """Whether a peer of a policy is an address, or a pod as `namespace/app`; nothing is this one."""
    namespace, is_pod, app = target.partition("/")
    if block := peer.get("ipBlock"):
        inside = [
            not is_pod and ip_address(target) in ip_network(cidr)
            for cidr in (block["cidr"], *block.get("except", []))
        ]
        return inside[0] and not any(inside[1:])
    if not is_pod:
        return False
    labels = {"kubernetes.io/metadata.name": namespace, "app": app, "k8s-app": app}
    wanted = {
        **peer.get("namespaceSelector", {}).get("matchLabels", {}),
        **peer.get("podSelector", {}).get("matchLabels", {}),
    }
    return ("namespaceSelector" in peer or not namespace) and wanted.items() <= labels.items()


def may_go(policies: dict[str, dict[str, Any]], app: str, target: str, port: int | str) -> bool:
    """Whether the policies let the pods of `app` go there."""
    return any(
        port in [allowed["port"] for allowed in rule["ports"]]
        and any(reaches(peer, target) for peer in rule["to"])
        for policy in policies.values()
        for rule in policy["spec"].get("egress", [])
        if policy["spec"]["podSelector"].get("matchLabels", {}).get("app", app) == app
    )


PLACES = {
    "here": ["/promo", "/database"],
    "elsewhere": ["other/promo", "kube-system/metrics-server"],
    "collector": ["observability/collector"],
    "dns": ["kube-system/kube-dns"],
    "private": ["10.1.2.3", "172.31.0.9", "192.168.7.7", "100.64.3.2", "fd12:3456::1"],
    "public": ["203.0.113.5", "2600:1f18::5"],
}
CREDENTIALS = [  # of machines, at port 80, in several clouds
    *("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254")
]
SERVICES = {80: ["here", "public"], 443: ["here", "public"], 8000: ["here"], 8080: ["here"]}
STORES = {5432: ["here", "private"], 6379: ["here", "private"]}


@pytest.mark.parametrize(
    ("overlay", "app", "places"),
    [
        ("prod", "site", {**SERVICES, **STORES, 4318: ["collector"]}),
        ("prod", "migrate", {5432: ["here", "private"]}),
        ("dev", "site", {}),
        ("dev", "fakes", {}),
    ],
)
def test_pods_go_only_where_they_have_to(
    copy: Copy, overlay: str, app: str, places: dict[int, list[str]]
) -> None:
    built = kustomize(copy(deploy="kubernetes"), overlay)
    policies = find(list(yaml.safe_load_all(built)), "NetworkPolicy")
    for port in (53, 80, 443, 4318, 5432, 6379, 8000, 8001, 8080, 10250):
        wanted = ["dns"] if port == 53 else places.get(port, [])
        for place, targets in PLACES.items():
            for target in targets:
                assert may_go(policies, app, target, port) is (place in wanted), (target, port)
    assert not [address for address in CREDENTIALS if may_go(policies, app, address, 80)]
    assert not may_go(policies, app, "/promo", "http")
    assert may_go(policies, app, "/fakes", "http") is ((overlay, app) == ("dev", "site"))


RESOLVE = """
import asyncio, os
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

async def show(scope, receive, send):
    print(scope["client"][0], scope["scheme"])

headers = [(b"x-forwarded-for", b"198.51.100.7, 203.0.113.5"), (b"x-forwarded-proto", b"https")]
scope = {"type": "http", "scheme": "http", "client": ("10.1.2.3", 40000), "headers": headers}
asyncio.run(ProxyHeadersMiddleware(show, os.environ["FORWARDED_ALLOW_IPS"])(scope, None, None))
"""


def test_an_address_that_a_visitor_made_up_does_not_count(
    project: Path, newest: Environment
) -> None:
    """The proxy appends the real one, as many do."""
    manifests = list(yaml.safe_load_all(kustomize(project, "prod")))
    variables = find(manifests, "ConfigMap")["site"]["data"]
    assert newest.run(project, "python", "-c", RESOLVE, **variables) == "203.0.113.5 https\n"


def test_what_tries_the_site_needs_no_proxy_and_no_database(project: Path) -> None:
    manifests = list(yaml.safe_load_all(kustomize(project, "dev")))
    variables = find(manifests, "ConfigMap")["site"]["data"]
    assert "FORWARDED_ALLOW_IPS" not in variables  # or http is redirected
    database = Path(variables["DATABASE_URL"].removeprefix("sqlite:///"))
    spec = find(manifests, "Deployment")["site"]["spec"]["template"]["spec"]
    [migrate], [site] = spec["initContainers"], spec["containers"]
    assert migrate["command"] == ["python", "manage.py", "migrate"]
    for container in (migrate, site):
        [volume] = container["volumeMounts"]
        assert Path(volume["mountPath"]) == database.parent


def read_commands(project: Path, title: str) -> str:
    """The commands below a heading of deploy/README.md."""
    readme = (project / "deploy/README.md").read_text("utf-8")
    [commands] = re.findall(
        rf"^## {title}\n[^#]*?```sh\n(.*?)```", readme, re.DOTALL | re.MULTILINE
    )
    return str(commands)


def test_the_commands_of_the_readme_make_the_secret_and_a_new_image(copy: Copy) -> None:
    project = copy(deploy="kubernetes")
    lines = "DJANGO_SECRET_KEY=a=$b\nDATABASE_URL=postgres://u:p@h/d\nCACHE_URL=valkey://h\n"
    [create] = re.findall(
        r"^kubectl (.*create secret.*)", read_commands(project, "Before the first release"), re.M
    )
    made = subprocess.run(
        [find_tool("kubectl"), *create.split(), "--dry-run=client", "--output=json"],
        input=lines.encode(),
        capture_output=True,
        check=True,
    )
    secret = json.loads(made.stdout)
    assert secret["metadata"] == {"name": "site", "namespace": "site-prod"}
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert data == dict(line.split("=", 1) for line in lines.splitlines())
    # A release changes every pod.
    commands = read_commands(project, "Every release")
    [image] = re.findall(r"docker push (\S+)", commands)
    [(file, tag)] = re.findall(r"# In (\S+) set newTag to (\S+),", commands)
    replace(project / "deploy/kubernetes" / file, 'newTag: "1"', f"newTag: {tag}")
    manifests = list(yaml.safe_load_all(kustomize(project, "prod")))
    for workload in [*find(manifests, "Deployment").values(), *find(manifests, "Job").values()]:
        spec = workload["spec"]["template"]["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["image"] == image


def test_the_way_in_is_filled_in_at_one_place(copy: Copy) -> None:
    project = copy(deploy="kubernetes")
    for placeholder in (b"your-class", b"your-namespace"):
        files = read_files(project / "deploy").items()
        assert [(path, text.count(placeholder)) for path, text in files if placeholder in text] == [
            ("kubernetes/overlays/prod/ingress.yaml", 1)
        ]
    manifests = list(yaml.safe_load_all(kustomize(project, "prod")))
    assert find(manifests, "Ingress")["site"]["spec"]["ingressClassName"] == "your-class"
    policies = find(manifests, "NetworkPolicy").values()
    rules = {
        json.dumps(policy["spec"]["podSelector"]["matchLabels"]): policy["spec"]["ingress"]
        for policy in policies
        if "ingress" in policy["spec"]
    }
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "your-namespace"}}
    assert rules == {
        '{"app": "site"}': [
            {"from": [{"namespaceSelector": namespace}], "ports": [{"port": "http"}]}
        ],
        '{"acme.cert-manager.io/http01-solver": "true"}': [{"ports": [{"port": 8089}]}],
    }


def test_the_capacity_is_what_the_benchmark_measured(copy: Copy) -> None:
    results = json.loads((ROOT / "benchmarks/results.json").read_text("utf-8"))
    said = (copy(deploy="kubernetes") / "deploy/README.md").read_text("utf-8")
    figures = {int(figure) for figure in re.findall(r"about (\d+) pages/s", said)}
    measured = [
        statistics.median(results["throughput"][name]["pages_per_second"])
        for name in ("gather", "gather, nothing reused")
    ]
    assert figures == {round(figure, 1 - len(str(int(figure)))) for figure in measured}
    assert results["machine"]["cpu"] in said
    most = max(results["memory"].values())
    assert most < 100
    assert f"about {round(most, -1):.0f} MiB" in said
