"""A bundle as whoever receives it has it: unpacked in a folder, with a shell, OpenSSL and coreutils, and nothing else."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

NEEDED = ("base64", "cat", "mktemp", "od", "openssl", "rm", "sha256sum", "tr", "wc")
"""All that verify.sh says it needs; that it needs nothing else is seen by its having nothing else."""
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]


def unpack(data: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
    return folder


def pack_again(folder: Path) -> io.BytesIO:
    """The folder as a zip again, for the verifier that reads zips."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return sink


def verify_sh(
    folder: Path, *vkeys: str, shell: str = "sh", script: str = "verify.sh"
) -> subprocess.CompletedProcess[str]:
    """Run verify.sh (the bundle's own, or that one) in an unpacked bundle where only what it needs can be found."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    for name in NEEDED:
        if not (programs / name).exists():
            (programs / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        [str(shutil.which(shell)), script, *vkeys],
        cwd=folder,
        env={"PATH": str(programs), "TMPDIR": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
