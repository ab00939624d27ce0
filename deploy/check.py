"""Our own demands on image, compose file and manifests: no root, nothing writable, no right, secrets as files, one gateway."""

import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
faults = []


def demand(holds, what):
    if not holds:
        faults.append(what)


def dockerfile():
    text = (HERE / "Dockerfile").read_text()
    text = re.sub(r"\\\n", " ", text)
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    known = {"FROM", "WORKDIR", "COPY", "ARG", "ENV", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    for word, *_ in lines:
        demand(word in known, f"Dockerfile: {word} is none of the instructions that are used here")
    stages = [index for index, (word, *_) in enumerate(lines) if word == "FROM"]
    demand(len(stages) >= 2, "Dockerfile: one stage, so that the compiler ships")
    for index in stages:
        image = lines[index][1].split()[0]
        demand(":" in image and not image.endswith(":latest"), f"Dockerfile: {image} has no fixed tag")
    last = lines[stages[-1] :]
    demand("distroless" in last[0][1], "Dockerfile: the last stage has a shell")
    demand(not any(word == "RUN" for word, *_ in last), "Dockerfile: the last stage runs something")
    users = [rest[0] for word, *rest in last if word == "USER"]
    demand(users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "Dockerfile: the user is not a number above 0")
    entry = [rest[0] for word, *rest in last if word in ("ENTRYPOINT", "CMD")]
    demand(len(entry) == 2 and all(isinstance(json.loads(one), list) for one in entry), "Dockerfile: a shell form")


def compose():
    file = yaml.safe_load((HERE / "compose.yaml").read_text())
    for name, service in file["services"].items():
        demand(service.get("read_only") is True, f"compose: {name} has a writable root")
        demand(service.get("cap_drop") == ["ALL"], f"compose: {name} keeps capabilities")
        demand("no-new-privileges:true" in service.get("security_opt", []), f"compose: {name} may gain rights")
        demand(not service.get("privileged"), f"compose: {name} is privileged")
        for secret in service.get("secrets", []):
            demand(secret in file["secrets"], f"compose: {name} asks for the secret {secret}, which is not there")
        for key in service.get("environment", {}):
            demand(not re.search(r"PASSWORD$|SECRET$|TOKEN$|KEY$", key), f"compose: {name} has {key} in its environment")
        for network in service.get("networks", []):
            demand(network in file["networks"], f"compose: {name} asks for the network {network}")
        for volume in service.get("volumes", []):
            demand(volume["type"] != "volume" or volume["source"] in file["volumes"], f"compose: {volume['source']} is no volume")
    demand("9247" not in str(file["services"]["gateway"].get("ports")), "compose: metrics are published")


def kubernetes():
    for path in sorted((HERE / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            name = f"{path.name}: {document['kind']}"
            if document["kind"] == "Namespace":
                labels = document["metadata"]["labels"]
                demand(labels["pod-security.kubernetes.io/enforce"] == "restricted", f"{name}: not restricted")
            if document["kind"] == "Kustomization":
                for resource in document["resources"]:
                    demand((HERE / "kubernetes" / resource).is_file(), f"{name}: {resource} is not there")
            if document["kind"] not in ("StatefulSet", "Job"):
                continue
            spec = document["spec"]["template"]["spec"]
            pod = spec["securityContext"]
            demand(pod["runAsNonRoot"] and pod["runAsUser"] > 0, f"{name}: root")
            demand(pod["seccompProfile"]["type"] == "RuntimeDefault", f"{name}: no seccomp")
            demand(spec["automountServiceAccountToken"] is False, f"{name}: a token of the cluster")
            volumes = {volume["name"] for volume in spec["volumes"]}
            volumes |= {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
            for container in spec["initContainers"] + spec["containers"]:
                where, security = f"{name}: {container['name']}", container["securityContext"]
                demand(security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], f"{where}: writable, or may gain rights")
                demand(security["capabilities"]["drop"] == ["ALL"], f"{where}: keeps capabilities")
                demand("memory" in container["resources"]["limits"], f"{where}: no bound of memory")
                demand(not container["image"].endswith(":latest") and ":" in container["image"], f"{where}: no fixed tag")
                demand("env" not in container, f"{where}: something in the environment")
                for mount in container["volumeMounts"]:
                    demand(mount["name"] in volumes, f"{where}: {mount['name']} is no volume")
            if document["kind"] == "StatefulSet":
                demand(document["spec"]["replicas"] == 1, f"{name}: not exactly one gateway")
                gateway = spec["containers"][0]
                for probe, page in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                    demand(gateway[probe]["httpGet"] == {"path": page, "port": "metrics"}, f"{name}: {probe}")
                ports = {(port["protocol"], port["containerPort"]) for port in gateway["ports"]}
                demand(ports == {("TCP", 7247), ("UDP", 7247), ("TCP", 9247)}, f"{name}: ports")


def read_all():
    for path in HERE.rglob("*"):
        if path.suffix in (".yaml", ".yml"):
            list(yaml.safe_load_all(path.read_text()))
        elif path.suffix == ".json":
            json.loads(path.read_text())


read_all()
dockerfile()
compose()
kubernetes()
for fault in faults:
    print(fault)
print(f"deploy: {len(faults)} demands are not met" if faults else "deploy: image, compose file and manifests meet our demands")
sys.exit(bool(faults))
