"""Virtual environments of the project's own, with the pinned versions of the peers."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Environment:
    """A folder with a Python in it, and the file of what is to be installed there."""

    folder: Path
    requirements: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def install(self) -> None:
        """Makes it, or makes it anew if the requirements or this Python have changed since."""
        wanted = hashlib.sha256(self.requirements.read_bytes() + sys.version.encode()).hexdigest()
        done = self.folder / "installed"
        if done.exists() and done.read_text() == wanted:
            return
        print(f"installing {self.requirements.name} into {self.folder}: some minutes", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        venv.create(self.folder, with_pip=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(self.requirements)], check=True, timeout=3600)
        done.write_text(wanted)

    def version(self, package: str) -> str:
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def of_peers(root: Path) -> Environment:
    return Environment(root / "venv", HERE / "requirements.txt")


def of_flink(root: Path) -> Environment:
    return Environment(root / "venv-flink", HERE / "requirements-flink.txt")


def java() -> str | None:
    """The first line of `java -version`, or None if there is no Java that runs."""
    home = os.environ.get("JAVA_HOME")
    program = os.path.join(home, "bin", "java") if home else "java"
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter((said.stderr or said.stdout).splitlines()), "Java")
