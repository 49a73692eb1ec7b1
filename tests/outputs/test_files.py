import asyncio
import errno
import hashlib
import io
import os
import random
import resource
import shutil
import stat
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from PIL import Image

from batchgen.core.jobs.job import Output
from batchgen.errors import DiskError, InternalError
from batchgen.outputs.downloads import Downloader, DownloadSettings, Fetched
from batchgen.outputs.local import FileOutputs
from batchgen.outputs.part import BLOCK_BYTES
from batchgen.ports import SaveError, SaveFault, SaveOrder
from batchgen.system import durable
from tests.helpers.servers import always, serving


def picture(form="PNG", size=(37, 21), color=(1, 2, 3)):
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, form)
    return out.getvalue()


def noise(size):
    """A picture as large as a file of its pixels: nothing is tried that would pack them."""
    out = io.BytesIO()
    pixels = random.Random(1).randbytes(size[0] * size[1])
    Image.frombytes("L", size, pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()


PNG = picture()
OTHER_PNG = picture(color=(9, 9, 9))
BIG_PNG = noise((2600, 2000))


class Bytes:
    """A fetcher that brings given bytes in pieces, then may do something else."""

    def __init__(self, data=b"", step=100_000, confirmed=True, then=None):
        self.data, self.step, self.confirmed, self.then = data, step, confirmed, then

    async def fetch(self, url, sink):
        for start in range(0, len(self.data), self.step):
            await sink.write(self.data[start : start + self.step])
        if self.then:
            await self.then(sink)
        return Fetched(self.confirmed)


def order(stem="a", index=0, staged="", media_type="", owner="job"):
    return SaveOrder(owner, stem, Output(index, "" if staged else "u", staged, media_type))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "outputs"


def files_in(folder):
    """Every file below a folder, hidden ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def save(folder, data=PNG, the_order=None, **options):
    async with FileOutputs(folder, None, Bytes(data, **options)) as outputs:
        return await outputs.save(the_order or order())


async def fault_of(folder, data, the_order=None, **options):
    with pytest.raises(SaveError) as caught:
        await save(folder, data, the_order, **options)
    assert not (folder / ".part").exists(), "no part survives"
    return caught.value


@pytest.mark.parametrize("data", [PNG, BIG_PNG], ids=["small", "big"])
@pytest.mark.parametrize("step", [1000, 10**9])
async def test_saving(folder, data, step):
    assert len(BIG_PNG) > BLOCK_BYTES
    saved = await save(folder, data, order("model/a", index=2), step=step)
    assert saved.name == "model/a.png"
    assert (folder / saved.name).read_bytes() == data
    assert saved.sha256 == hashlib.sha256(data).hexdigest()
    assert (saved.index, saved.size, saved.media_type) == (2, len(data), "image/png")
    assert (saved.width, saved.height) == Image.open(io.BytesIO(data)).size
    assert files_in(folder.parent) == ["outputs/model/a.png"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((folder / saved.name).stat().st_mode) == 0o666 & ~mask


async def test_parts_are_private_and_gone_when_the_run_ends(folder):
    seen = {}

    async def look(sink):
        parts = list((folder / ".part").iterdir())
        seen.update({path.name: stat.S_IMODE(path.stat().st_mode) for path in parts})

    await save(folder, BIG_PNG, then=look)
    assert list(seen.values()) == [0o600]
    assert next(iter(seen)).startswith("job~0~")
    assert not (folder / ".part").exists()


async def test_a_restarted_download_keeps_nothing_of_the_first(folder):
    async def again(sink):
        assert sink.size == len(BIG_PNG)
        await sink.restart()
        assert sink.size == 0
        await sink.write(PNG)

    saved = await save(folder, BIG_PNG, then=again)
    assert (folder / saved.name).read_bytes() == PNG
    assert saved.sha256 == hashlib.sha256(PNG).hexdigest()


async def test_saving_again_finds_the_equal_file(folder):
    first = await save(folder)
    before = (folder / "a.png").stat()
    assert await save(folder) == first
    assert (folder / "a.png").stat().st_ino == before.st_ino
    assert files_in(folder) == ["a.png"]


async def test_a_taken_name_is_never_replaced(folder):
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"the user's own")
    (folder / "a~other-2.png").symlink_to("/dev/null")
    (folder / "a~other-3.png").mkdir()
    os.mkfifo(folder / "a~other-4.png")
    saved = await save(folder)
    assert saved.name == "a~other-5.png"
    assert (await save(folder)).name == "a~other-5.png"
    assert (await save(folder, OTHER_PNG)).name == "a~other-6.png"
    assert (folder / "a.png").read_bytes() == b"the user's own"
    assert (folder / "a~other-2.png").readlink() == Path("/dev/null")


async def test_an_equal_file_behind_a_link_is_not_ours(folder, tmp_path):
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere.png").write_bytes(PNG)
    (folder / "a.png").symlink_to(tmp_path / "elsewhere.png")
    assert (await save(folder)).name == "a~other-2.png"


async def test_many_at_once_under_one_name(folder):
    colors = [(i, 0, 0) for i in range(20)]
    contents = [picture(color=color) for color in colors for _ in range(2)]

    class Each:
        async def fetch(self, url, sink):
            await sink.write(contents[int(url)])
            return Fetched(confirmed=True)

    async with FileOutputs(folder, None, Each()) as outputs:
        orders = [SaveOrder("j", "x/a", Output(0, str(i))) for i in range(len(contents))]
        saved = await asyncio.gather(*(outputs.save(each) for each in orders))
    assert len({each.name for each in saved}) == 20
    for each, content in zip(saved, contents, strict=True):
        assert (folder / each.name).read_bytes() == content


HTML = b"<!DOCTYPE html><html><body>403 Forbidden</body></html>"


@pytest.mark.parametrize(
    ("data", "media_type", "expected"),
    [
        (b"", "", "empty"),
        (HTML, "image/png", "web page"),
        (HTML, "text/html", "web page"),
        (HTML, "", "web page"),
        (b'{"error": "expired"}', "image/png", "JSON"),
        (b'[{"error": "expired"}]', "", "JSON"),
        (b"plain words", "image/png", "plain text"),
        (b"\r\n \0", "", "empty"),
        (bytes(4000), "", "empty"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "", "error in XML"),
    ],
)
async def test_what_is_no_whole_media_is_not_saved(folder, data, media_type, expected):
    error = await fault_of(folder, data, order(media_type=media_type))
    assert error.fault is SaveFault.BAD_CONTENT
    assert expected in error.detail
    assert files_in(folder) == []


@pytest.mark.parametrize(
    ("data", "media_type", "name"),
    [
        (b"a story", "text/plain; charset=utf-8", "a.txt"),
        (b'{"a": 1}', "application/json", "a.json"),
        (b"{a story}", "text/plain", "a.txt"),
    ],
)
async def test_announced_texts(folder, data, media_type, name):
    assert (await save(folder, data, order(media_type=media_type))).name == name


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_the_extension_comes_from_the_content(folder, form):
    saved = await save(folder, picture(form), order(media_type="image/tiff"))
    assert saved.name == f"a.{'jpg' if form == 'JPEG' else form.lower()}"
    assert (saved.width, saved.height) == (37, 21)


@pytest.mark.parametrize(
    ("data", "media_type", "name"),
    [
        (PNG, "", "a.png"),
        (b'{"a": 1}', "application/json", "a.json"),
        (HTML, "text/plain", "a.txt"),
        ("é".encode(), "text/plain", "a.txt"),
    ],
)
async def test_staging_and_saving(folder, data, media_type, name):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        staged = await outputs.stage("job", 3, data)
        assert await outputs.stage("job", 3, data) == staged
        assert files_in(folder) == [f".part/{staged}"]
    async with FileOutputs(folder, None, Bytes()) as outputs:  # another process
        assert await outputs.remove_orphans({staged}) == 0
        the_order = order(index=3, staged=staged, media_type=media_type)
        saved = await outputs.save(the_order)
        assert (saved.name, saved.sha256) == (name, hashlib.sha256(data).hexdigest())
        # It died before that was recorded, and asks again.
        assert await outputs.save(the_order) == saved
    assert files_in(folder) == [name]


async def test_a_staged_file_delivered_under_another_name_is_found_again(folder):
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"the user's own")
    async with FileOutputs(folder, None, Bytes()) as outputs:
        staged = await outputs.stage("job", 0, PNG)
        for _ in range(2):
            assert (await outputs.save(order(staged=staged))).name == "a~other-2.png"


@pytest.mark.parametrize("name", ["job~0~0123456789abcdef01234567.png.part", "strange.part"])
async def test_a_staged_file_that_is_nowhere(folder, name):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        with pytest.raises(SaveError) as caught:
            await outputs.save(order(staged=name))
    assert caught.value.fault is SaveFault.GONE


@pytest.mark.parametrize("data", [HTML, b"words", b'{"error": 1}', b" "])
async def test_staged_bytes_that_are_no_media_stay_and_are_told(folder, data):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        staged = await outputs.stage("job", 0, data)
        with pytest.raises(SaveError) as caught:
            await outputs.save(order(staged=staged, media_type="image/png"))
    assert caught.value.fault is SaveFault.BAD_CONTENT
    assert files_in(folder) == [f".part/{staged}"]


@pytest.mark.parametrize("owner", ["job", "ä/../b", "x" * 300, "..", "a\0b"])
async def test_owners_of_every_kind(folder, owner):
    async with FileOutputs(folder, None, Bytes(PNG)) as outputs:
        staged = await outputs.stage(owner, 0, PNG)
        assert (folder / ".part" / staged).read_bytes() == PNG
        assert (await outputs.save(order(staged=staged, owner=owner))).name == "a.png"
        assert (await outputs.save(order(owner=owner))).name == "a.png"


async def test_owners_that_look_alike_are_kept_apart(folder):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        names = [await outputs.stage(owner, 0, PNG) for owner in ("a/b", "a_b", "a:b")]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    "stem", ["../x", "/etc/x", "a/../../x", "", "a//b", "a/", ".", "a/.", "a\0b", ".part/x"]
)
async def test_stems_that_lead_elsewhere(folder, stem):
    with pytest.raises(InternalError, match="not an output path"):
        await save(folder, PNG, order(stem))
    assert files_in(folder.parent.parent) == []


@pytest.mark.parametrize("staged", ["../a.png", "/etc/passwd", "..", "a\0"])
async def test_staged_names_that_lead_elsewhere(folder, staged):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        with pytest.raises(InternalError, match="staged name"):
            await outputs.save(order(staged=staged))


async def test_links_inside_the_outputs_are_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder.mkdir(parents=True)
    (folder / "model").symlink_to(tmp_path / "elsewhere")
    error = await fault_of(folder, PNG, order("model/a"))
    assert error.fault is SaveFault.DISK_BROKEN
    assert "model/a" in error.detail
    assert files_in(tmp_path / "elsewhere") == []


async def test_the_outputs_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "big disk").mkdir()
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "big disk")
    await save(folder)
    assert files_in(tmp_path / "big disk") == ["a.png"]


async def test_a_file_in_the_way_of_a_folder(folder):
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(b"a file")
    assert (await fault_of(folder, PNG, order("model/a"))).fault is SaveFault.DISK_BROKEN


async def test_outputs_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="--run-dir"):
        await save(tmp_path / "file" / "outputs")


async def test_outputs_that_vanish(folder):
    async def vandal(sink):
        shutil.rmtree(folder)

    assert (await fault_of(folder, PNG, then=vandal)).fault is SaveFault.DISK_BROKEN


async def test_one_bad_file_does_not_touch_the_others(folder):
    contents = [PNG, HTML, OTHER_PNG, b""] * 8

    class Each:
        async def fetch(self, url, sink):
            await sink.write(contents[int(url)])
            return Fetched(confirmed=True)

    async with FileOutputs(folder, None, Each()) as outputs:
        orders = [SaveOrder("j", str(i), Output(0, str(i))) for i in range(len(contents))]
        saves = (outputs.save(each) for each in orders)
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
    good = [index for index, content in enumerate(contents) if content in (PNG, OTHER_PNG)]
    assert sorted(files_in(folder)) == sorted(f"{index}.png" for index in good)
    bad = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert {error.fault for error in bad} == {SaveFault.BAD_CONTENT}
    assert len(bad) == len(contents) - len(good)


async def test_long_and_short_files_of_one_batch(folder):
    # Long ones stand in part files when the batch takes them up, short ones are still in memory.
    sizes = [0, 3 * BLOCK_BYTES + 7, 2000, BLOCK_BYTES, BLOCK_BYTES - len(PNG), 5]
    contents = [PNG + bytes(size) for size in sizes] * 8

    class Each:
        async def fetch(self, url, sink):
            for start in range(0, len(contents[int(url)]), 200_000):
                await sink.write(contents[int(url)][start : start + 200_000])
            return Fetched(confirmed=True)

    async with FileOutputs(folder, None, Each()) as outputs:
        orders = [SaveOrder("j", str(i), Output(0, str(i))) for i in range(len(contents))]
        outcomes = await asyncio.gather(*(outputs.save(each) for each in orders))
    for saved, content in zip(outcomes, contents, strict=True):
        assert (folder / saved.name).read_bytes() == content
        assert saved.sha256 == hashlib.sha256(content).hexdigest()
        assert (saved.width, saved.height) == (37, 21)


@pytest.mark.parametrize("data", [b"", PNG[:50], BIG_PNG[:-1]])
async def test_a_cancelled_download_leaves_no_part(folder, data):
    async def forever(sink):
        await anyio.sleep_forever()

    async with FileOutputs(folder, None, Bytes(data, then=forever)) as outputs:
        with anyio.move_on_after(0.1) as scope:
            await outputs.save(order())
        assert scope.cancelled_caught
        assert files_in(folder) == []


async def test_a_save_cancelled_at_any_point_can_be_repeated(folder):
    async with FileOutputs(folder, None, Bytes(BIG_PNG, step=70_000)) as outputs:
        for steps in range(40):
            task = asyncio.create_task(outputs.save(order()))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        saved = await outputs.save(order())
    assert files_in(folder) == [saved.name] == ["a.png"]
    assert (folder / "a.png").read_bytes() == BIG_PNG


async def test_leaving_waits_for_deliveries_under_way(folder):
    async with FileOutputs(folder, None, Bytes(PNG)) as outputs:
        tasks = [asyncio.create_task(outputs.save(order(str(i)))) for i in range(30)]
        while not outputs._lanes:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert all((folder / name).read_bytes() == PNG for name in files_in(folder))
    assert not (folder / ".part").exists()


async def test_orphans(folder):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        keep = await outputs.stage("job", 0, PNG)
        await outputs.stage("job", 1, OTHER_PNG)
        (folder / ".part" / "job~2~abc.part").write_bytes(b"half")
        (folder / ".part" / "the user's.txt").write_bytes(b"?")
        assert await outputs.remove_orphans({keep}) == 2
    assert files_in(folder) == sorted([f".part/{keep}", ".part/the user's.txt"])


async def test_a_probe_leaves_nothing_behind(folder):
    async with FileOutputs(folder, None, Bytes()) as outputs:
        assert await outputs.takes_files()
        assert files_in(folder) == []


async def test_outside_its_context_it_does_nothing(folder):
    outputs = FileOutputs(folder, None, Bytes())
    with pytest.raises(InternalError, match="async with"):
        await outputs.save(order())


async def test_with_the_real_downloader(folder):
    headers = ("Content-Type: text/html",)
    async with (
        serving(always(body=BIG_PNG, headers=headers)) as server,
        Downloader("x", DownloadSettings(allow_private=True)) as downloader,
        FileOutputs(folder, None, downloader) as outputs,
    ):
        url = f"{server.url}/a.jpg"
        saved = await asyncio.gather(
            *(outputs.save(SaveOrder("j", f"m/{i}", Output(0, url))) for i in range(20))
        )
    assert {each.sha256 for each in saved} == {hashlib.sha256(BIG_PNG).hexdigest()}
    assert len(files_in(folder)) == 20


async def test_too_many_open_files(folder):
    async with FileOutputs(folder, None, Bytes(BIG_PNG)) as outputs:
        await outputs.save(order("first"))  # the worker threads are there now
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(SaveError) as caught:
                await outputs.save(order("second"))
            with pytest.raises(SaveError) as caught_staging:
                await outputs.stage("job", 0, PNG)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.fault is SaveFault.TOO_MANY_FILES
    assert caught_staging.value.fault is SaveFault.TOO_MANY_FILES
    assert files_in(folder) == ["first.png"]


@contextmanager
def mounted(mount, options):
    """A file system of its own."""
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB of its own."""
    with mounted(tmp_path / "disk", "size=1m") as disk:
        yield disk


@pytest.fixture
def crowded_disk(tmp_path):
    """A file system with much space and 20 inodes."""
    with mounted(tmp_path / "disk", "size=1g,nr_inodes=20") as disk:
        yield disk


def fill_inodes(disk, left):
    """Make empty files until so many more are possible."""
    names = (disk / f"filler-{number}" for number in range(1000))
    made = []
    with suppress(OSError):
        for name in names:
            name.touch()
            made.append(name)
    for name in made[:left]:
        name.unlink()
    return made[left:]


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
@pytest.mark.parametrize("data", [PNG, BIG_PNG], ids=["small", "big"])
async def test_a_disk_without_inodes_has_no_room_whatever_its_free_bytes(crowded_disk, data):
    async with FileOutputs(crowded_disk / "outputs", None, Bytes(data)) as outputs:
        assert await outputs.takes_files()
        fillers = fill_inodes(crowded_disk, left=0)
        assert shutil.disk_usage(crowded_disk).free > 500 * 2**20
        assert not await outputs.takes_files(), "also before anything was refused"
        for attempt in (outputs.save(order()), outputs.stage("job", 0, PNG)):
            with pytest.raises(SaveError) as caught:
                await attempt
            assert caught.value.fault is SaveFault.DISK_FULL
            assert not await outputs.takes_files()
        fillers[0].unlink()
        assert await outputs.takes_files()
        assert (await outputs.save(order())).name == "a.png"
        assert not await outputs.takes_files()


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
async def test_an_inode_is_not_enough_for_a_file_in_new_folders(crowded_disk):
    """Else the file would be downloaded for each probe that succeeds, and refused each time."""
    async with FileOutputs(crowded_disk / "outputs", None, Bytes(PNG)) as outputs:
        fillers = fill_inodes(crowded_disk, left=2)
        with pytest.raises(SaveError) as caught:
            await outputs.save(order("model/style/a"))
        assert caught.value.fault is SaveFault.DISK_FULL
        shutil.rmtree(crowded_disk / "outputs" / "model")  # as if the first one had failed, too
        assert not await outputs.takes_files()
        fillers[0].unlink()
        assert await outputs.takes_files()
        assert (await outputs.save(order("model/style/a"))).name == "model/style/a.png"


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
async def test_the_room_that_was_lacking_is_asked_for(tmp_path):
    """A quota, such as a limit that free bytes do not show: here the disk itself, with 64 MiB
    that count as none."""
    with mounted(tmp_path / "disk", "size=80m") as disk:
        long = PNG + bytes(85 * 2**20)
        async with FileOutputs(disk / "outputs", None, Bytes(long, step=2**20)) as outputs:
            assert await outputs.takes_files()
            with pytest.raises(SaveError) as caught:
                await outputs.save(order())
            assert caught.value.fault is SaveFault.DISK_FULL
            assert shutil.disk_usage(disk).free > 64 * 2**20
            assert not await outputs.takes_files()
            assert files_in(disk) == []
            subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
            assert await outputs.takes_files()
            assert (await outputs.save(order())).size == len(long)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
async def test_a_full_disk(small_disk):
    outputs_folder = small_disk / "outputs"
    big = picture("BMP", size=(800, 600))
    async with FileOutputs(outputs_folder, None, Bytes(big)) as outputs:
        staged = await outputs.stage("job", 0, PNG)
        (small_disk / "filler").write_bytes(b"\1" * 300_000)
        with pytest.raises(SaveError) as caught:
            await outputs.save(order("big"))
        with pytest.raises(SaveError) as caught_staging:
            await outputs.stage("job", 1, big)
        assert caught.value.fault is SaveFault.DISK_FULL
        assert caught_staging.value.fault is SaveFault.DISK_FULL
        assert files_in(outputs_folder) == [f".part/{staged}"], "what failed makes room again"
        assert not await outputs.takes_files(), "some free bytes are too few"
        # What was staged before needs no room any more.
        assert (await outputs.save(order(staged=staged))).name == "a.png"
    assert files_in(outputs_folder) == ["a.png"]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
async def test_parts_are_on_the_disk_of_the_outputs(small_disk, tmp_path, beside):
    staging = (small_disk if beside else tmp_path) / "staging"
    async with FileOutputs(small_disk / "outputs", staging, Bytes(PNG)) as outputs:
        staged = await outputs.stage("job", 0, PNG)
        where = staging if beside else small_disk / "outputs" / ".part"
        assert files_in(where) == [staged]
        assert (await outputs.save(order(staged=staged))).name == "a.png"
        assert (await outputs.save(order("b"))).name == "b.png"


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount command")
async def test_a_disk_that_became_read_only(small_disk):
    async with FileOutputs(small_disk / "outputs", None, Bytes(PNG)) as outputs:
        remount = ["mount", "-o", "remount,ro", str(small_disk)]
        made = subprocess.run(remount, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"cannot remount: {made.stderr.strip()}")
        with pytest.raises(SaveError) as caught:
            await outputs.save(order())
        assert caught.value.fault is SaveFault.DISK_BROKEN
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


@pytest.mark.parametrize(
    "move", [durable.move_unless_taken, durable.rename_unless_taken, durable.rename_if_free]
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_every_way_to_a_name_spares_what_has_it(tmp_path, move, kind):
    # A folder cannot be linked: it stands for a file system without hard links.
    new = tmp_path / "new"
    new.write_bytes(b"new") if kind == "file" else new.mkdir()
    (tmp_path / "old").write_bytes(b"old")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert not move("new", folder, "old", folder)
        assert (tmp_path / "old").read_bytes() == b"old"
        assert move("new", folder, "free", folder)
        assert (tmp_path / "free").is_file() == (kind == "file")
        with pytest.raises(FileNotFoundError):
            move("gone", folder, "elsewhere", folder)
    finally:
        os.close(folder)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, SaveFault.DISK_FULL),
        (errno.EDQUOT, SaveFault.DISK_FULL),
        (errno.EMFILE, SaveFault.TOO_MANY_FILES),
        (errno.ENFILE, SaveFault.TOO_MANY_FILES),
        (errno.EFBIG, SaveFault.TOO_LARGE),
        (errno.EIO, SaveFault.DISK_BROKEN),
        (errno.EROFS, SaveFault.DISK_BROKEN),
        (errno.EACCES, SaveFault.DISK_BROKEN),
    ],
)
def test_what_the_disk_says(number, expected):
    with pytest.raises(SaveError) as caught, durable.disk_faults("model/a"):
        raise OSError(number, os.strerror(number))
    assert caught.value.fault is expected
    assert caught.value.detail == f"model/a: {os.strerror(number)}"


def test_other_errors_are_bugs():
    with pytest.raises(InternalError, match="Bad file descriptor"), durable.disk_faults("a"):
        os.fsync(987654)
