"""A folder of pictures, each drawn once and kept as long as it would come out the same."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from wdattn import plots
from wdattn.ledger.pictures import Picture
from wdattn.reproduction.run.store import write_whole

DPI = 150
"""Of the files; a page shows them at 100."""


class Gallery:
    """The pictures of one paper; `with` writes down at the end what was drawn.

    `drawn.json` has, for each file, the digest of what it was drawn from and that of its bytes. A
    picture of which either has changed is drawn anew.

    Args:
        folder: made if needed.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._index = folder / "drawn.json"
        self._before = self._read()
        self._now: dict[str, list[str]] = {}

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *error) -> None:
        drawn = self._before | self._now
        if drawn != self._before:
            write_whole(self._index, (json.dumps(drawn, indent=1) + "\n").encode())

    def drawn(self, picture: Picture, share: float) -> tuple[bytes, int]:
        """A picture, and its width in pixels of a page.

        Its file has full size, what is given that share of it.

        Args:
            picture: what is wanted; it is drawn only if that was not done before.
            share: float in (0, 1].
        """
        whole = self._kept(picture.name, picture.digest, lambda: plots.png(picture.draw(), DPI))
        width = round(int.from_bytes(whole[16:20], "big") * 100 / DPI)
        if share == 1:
            return whole, width
        digest = f"{_digest(whole)} times {share:g}"
        return self._kept(
            f"small/{picture.name}", digest, lambda: plots.shrunk(whole, share)
        ), width

    def _kept(self, name: str, digest: str, make: Callable[[], bytes]) -> bytes:
        """The file of that name, if it was made from that and is as it was written; else anew."""
        path = self._folder / f"{name}.png"
        before, written = self._before.get(name, ("", ""))
        data = path.read_bytes() if before == digest and path.is_file() else b""
        if not data or _digest(data) != written:
            write_whole(path, data := make())
        self._now[name] = [digest, _digest(data)]
        return data

    def _read(self) -> dict[str, list[str]]:
        """What was drawn before; nothing if that is not known."""
        try:
            known = json.loads(self._index.read_text("utf-8"))
            return {name: [made_from, data] for name, (made_from, data) in known.items()}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            return {}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
