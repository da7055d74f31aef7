"""Archives are continued, checked, and never unpacked outside of their folder."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossprint.data.sources.cub200 import CUB200
from lossprint.data.sources.download import download_archive, extract
from tests.data import miniatures


class Server:
    """Serves one file; counts the bytes it sent, and can cut a transfer off."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut_at: int | None = None
        self.sent: list[int] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
                if start >= len(outer.content):
                    self.send_error(416)
                    return
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                body = body[: outer.cut_at]
                self.wfile.write(body)
                outer.sent.append(len(body))

            def log_message(self, *_: object) -> None:
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/archive"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()


@pytest.fixture
def served_cub(tmp_path: Path) -> Iterator[Server]:
    """A miniature of the CUB archive behind a URL."""
    miniatures.cub(tmp_path / "made", {"001.A": 2, "002.B": 2})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.add(tmp_path / "made" / "CUB_200_2011", "CUB_200_2011")
    server = Server(buffer.getvalue())
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()


def test_cub_is_downloaded_once(
    served_cub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CUB200, "url", served_cub.url)
    monkeypatch.setattr(CUB200, "md5", hashlib.md5(served_cub.content).hexdigest())
    root = tmp_path / "cub"
    first = CUB200(root, verify=False)()
    second = CUB200(root, verify=False)()
    assert first.fingerprint() == second.fingerprint()
    assert first.development.class_names == ("001.A",)
    assert served_cub.sent == [len(served_cub.content)]
    assert [path.name for path in root.glob("[!.]*")] == ["CUB_200_2011"]


def test_a_download_continues_where_it_was_cut_off(served_cub: Server, tmp_path: Path) -> None:
    md5 = hashlib.md5(served_cub.content).hexdigest()
    served_cub.cut_at = 100
    with pytest.raises(OSError, match="100"):
        download_archive(served_cub.url, tmp_path / "cub", name="cub.tgz", md5=md5)
    served_cub.cut_at = None
    download_archive(served_cub.url, tmp_path / "cub", name="cub.tgz", md5=md5)
    assert served_cub.sent == [100, len(served_cub.content) - 100]
    assert (tmp_path / "cub" / "CUB_200_2011" / "images.txt").is_file()


def test_a_wrong_checksum_is_refused(served_cub: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="instead of 00"):
        download_archive(served_cub.url, tmp_path / "cub", name="cub.tgz", md5="00")
    assert list((tmp_path / "cub").iterdir()) == []


def test_an_unreachable_address_says_what_to_put_where(
    served_cub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CUB200, "url", "http://127.0.0.1:1/CUB_200_2011.tgz")
    with pytest.raises(FileNotFoundError, match=r"its download failed .*Unpack http://127"):
        CUB200(tmp_path / "cub")()


def tar_with(name: str, path: Path) -> None:
    with tarfile.open(path, "w") as file:
        member = tarfile.TarInfo(name)
        member.size = 4
        file.addfile(member, io.BytesIO(b"evil"))


def zip_with(name: str, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, "evil")


@pytest.mark.parametrize("make", [tar_with, zip_with])
def test_members_that_leave_the_folder_are_refused(make, tmp_path: Path) -> None:
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    make("../../evil.txt", tmp_path / "archive")
    with pytest.raises(ValueError, match="is refused"):
        extract(tmp_path / "archive", folder)
    assert not list(tmp_path.rglob("evil.txt"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("make", [tar_with, zip_with])
def test_archives_are_unpacked(make, tmp_path: Path) -> None:
    make("inner/good.txt", tmp_path / "archive")
    (tmp_path / "folder").mkdir()
    extract(tmp_path / "archive", tmp_path / "folder")
    assert (tmp_path / "folder" / "inner" / "good.txt").read_text() == "evil"


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("text")
    with pytest.raises(ValueError, match="no readable archive"):
        extract(tmp_path / "archive", tmp_path)
