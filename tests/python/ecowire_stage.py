"""The stage of a test: checks that are counted, and a gateway over a network that was minted for it."""

import contextlib
import re
import subprocess
import sys

from ecowire import entries, profile, tree, wire
from ecowire.forms import Refused
from ecowire_client import Refusal, Unsound

STOP_S = 30


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


def sure(sound, why):
    if not sound:
        raise AssertionError(why)


class Checks:
    """Counts what holds and what does not; a check that raises has failed."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    @contextlib.contextmanager
    def __call__(self, what):
        try:
            yield
        except Exception as error:  # whatever went wrong, the next check is told of all the same
            self.failed += 1
            print(f"FAILED {what}: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            self.passed += 1

    @contextlib.contextmanager
    def refused(self, name, code=None, **metadata):
        """What is inside is refused by this name, with this code and at least this metadata."""
        place = sys._getframe(2).f_lineno
        with self(f"line {place}: {name} {metadata or ''}"):
            try:
                yield
            except Refusal as refusal:
                found = {key: refusal.metadata.get(key) for key in metadata}
                equal((refusal.name, found), (name, metadata))
                if code is not None:
                    equal(refusal.code, code)
            else:
                raise AssertionError("it was not refused")

    @contextlib.contextmanager
    def unsound(self, what):
        """What is inside is not believed."""
        with self(what):
            try:
                yield
            except (Unsound, Refused, tree.ProofError, entries.EntryError, wire.WireError, profile.ProfileError):
                return
            raise AssertionError("it was believed")


class Gateway:
    """The gateway over a minted network; stopped and reaped when the block ends."""

    def __init__(self, folder, binaries):
        self.folder, self.binaries, self.process = folder, binaries, None

    def run(self, name, *arguments):
        command = [str(self.binaries / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def make(self, network, addresses, p256):
        """Mints the network and writes entry 0; the node is node/dev-1. The identities of `p256` have P-256 keys."""
        minted = self.run("ecowire-certs", "mint", "--out", self.folder / "pki", "--network", network, "--p256", ",".join(p256), *addresses)
        equal((minted.returncode, minted.stderr), (0, ""))
        pki = self.folder / "pki"
        paths = ["--config", self.config, "--genesis", pki / "genesis.bin", "--node", pki / "node_dev-1", "--data", self.folder / "data"]
        made = self.run("ecowire-gateway", "init", *paths, "--listen", "127.0.0.1:0", "--metrics", "")
        equal(made.returncode, 0)

    @property
    def config(self):
        return self.folder / "gateway.toml"

    def start(self):
        """The address that it serves on."""
        log = (self.folder / "gateway.log").open("ab")
        command = [str(self.binaries / "ecowire-gateway"), "serve", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        line = self.process.stdout.readline()
        found = re.fullmatch(r"serving on (\S+) with (\d+) entries\n", line)
        sure(found is not None, f"the gateway says {line!r}, see its log: {(self.folder / 'gateway.log').read_text()[-2000:]}")
        return found[1]

    def stop(self):
        """Its exit code after SIGTERM."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check(self):
        return self.run("ecowire-gateway", "check", "--config", self.config)
