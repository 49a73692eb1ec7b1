"""Outputs in an object store: whole or not at all, never over another object, whatever breaks."""

import asyncio
import errno
import hashlib
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import GenericError
from obstore.store import MemoryStore
from pydantic_core import PydanticCustomError

from batchgen.app.publishing import set_aside
from batchgen.core.jobs.job import Output
from batchgen.core.manifest.text.destination import Bucket, Scheme, bucket_of
from batchgen.errors import StoppedEarly, UserError
from batchgen.outputs.part import BLOCK_BYTES
from batchgen.outputs.reading import FolderFiles, open_outputs, with_place
from batchgen.outputs.remote.faults import StoreError, StoreFault, store_faults
from batchgen.outputs.remote.marker import MARKER_NAME, marker_of, new_run_id, run_in
from batchgen.outputs.remote.outputs import RemoteOutputs
from batchgen.outputs.remote.reading import StoreFiles
from batchgen.outputs.remote.store import ObjectContent, Store, StoreSettings, connect
from batchgen.ports import SaveError, SaveFault, SaveOrder
from batchgen.system.run_directory import RunDirectory
from tests.helpers.s3 import S3, SECRET, cut, done_and_cut, refuse
from tests.outputs.test_files import BIG_PNG, OTHER_PNG, PNG, Bytes

QUICK = StoreSettings(timeout_s=1.0, delays_s=(0.01, 0.01, 0.01))


@pytest.fixture(scope="module")
def s3():
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3):
    return Bucket(Scheme.S3, s3.new_bucket(), "a set/v1")


@pytest.fixture
def store(s3, bucket, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return connect(bucket, QUICK)


@pytest.fixture
def kept():
    """A store in memory: it answers no hash as ETag."""
    return Store(Bucket(Scheme.S3, "memory"), MemoryStore(), QUICK)


def order(stem="a", index=0, staged="", owner="7-1"):
    return SaveOrder(owner, stem, Output(index, "" if staged else "u", staged, ""))


def outputs(store, path, data=PNG, run_id="r", **options):
    return RemoteOutputs(store, run_id, RunDirectory(path), Bytes(data, **options))


async def save(store, path, data=PNG, the_order=None, **options):
    async with outputs(store, path, data, **options) as port:
        return await port.save(the_order or order())


def left_in(path):
    return sorted(p.name for p in path.rglob("*") if p.is_file())


# --- where outputs may go


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b-1.x/", Bucket(Scheme.S3, "b-1.x")),
        ("s3://bucket/a b/ü/", Bucket(Scheme.S3, "bucket", "a b/ü")),
        ("gs://bucket/x", Bucket(Scheme.GS, "bucket", "x")),
        ("az://container", Bucket(Scheme.AZ, "container")),
        ("outputs", None),
        ("/mnt/big/s3:x", None),
        ("./s3:x", None),
        ("C:", None),
    ],
)
def test_a_bucket_is_told_from_a_folder(text, expected):
    assert bucket_of(text) == expected
    if expected:
        assert bucket_of(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("s3:/bucket/x", "begins no place"),
        ("s3:bucket", "begins no place"),
        ("file:///x", "begins no place"),
        ("https://bucket.s3.amazonaws.com/x", "begins no place"),
        ("s3://", "cannot be the name"),
        ("s3:///x", "cannot be the name"),
        ("s3://key:secret@bucket/x", "more than its name"),
        ("s3://bucket/x?versionId=1", "more than its name"),
        ("s3://bucket/a//b", "cannot be a prefix"),
        ("s3://bucket/../x", "cannot be a prefix"),
        ("s3://bucket/a\nb", "cannot be a prefix"),
    ],
)
def test_what_is_no_place(text, word):
    with pytest.raises(PydanticCustomError, match=word):
        bucket_of(text)


@given(st.text(max_size=40))
def test_any_text_is_a_bucket_a_folder_or_refused(text):
    try:
        found = bucket_of(text)
    except PydanticCustomError:
        return
    assert found is None or bucket_of(str(found)) == found


@given(st.binary(max_size=40))
def test_a_marker_names_its_run_and_nothing_else_does(noise):
    run_id = new_run_id()
    assert run_in(marker_of(run_id)) == run_id
    assert run_in(noise) == ""


# --- saving


@pytest.mark.parametrize("data", [PNG, BIG_PNG], ids=["small", "big"])
async def test_saving(store, s3, bucket, tmp_path, data):
    assert len(BIG_PNG) > BLOCK_BYTES
    saved = await save(store, tmp_path, data, order("model/ü~1 [x]%", index=2))
    assert saved.name == "model/ü~1 [x]%.png"
    assert s3.objects(bucket.name) == {f"a set/v1/{saved.name}": data}
    assert saved.sha256 == hashlib.sha256(data).hexdigest()
    assert (saved.index, saved.size, saved.media_type) == (2, len(data), "image/png")
    assert saved.width > 0
    assert left_in(tmp_path) == []
    puts = [entry for entry in s3.log if entry[0] == "PUT" and entry[1].endswith(".png")]
    assert puts[-1][2] == "*"  # the store itself refuses to write over anything


async def test_saving_again_finds_the_equal_object(store, s3, bucket, tmp_path):
    first = await save(store, tmp_path)
    assert await save(store, tmp_path) == first
    assert list(s3.objects(bucket.name)) == ["a set/v1/a.png"]


@pytest.mark.parametrize("where", ["s3", "memory"])
async def test_another_object_is_never_written_over(where, request, tmp_path):
    store = request.getfixturevalue("store" if where == "s3" else "kept")
    await save(store, tmp_path, OTHER_PNG)
    saved = await save(store, tmp_path, PNG)
    assert saved.name == "a~other-2.png"
    assert await store.read("a.png") == OTHER_PNG
    assert await store.read("a~other-2.png") == PNG
    assert (await save(store, tmp_path, PNG)).name == "a~other-2.png"


async def test_an_object_without_our_metadata_is_read(store, s3, bucket, tmp_path):
    import obstore

    same_size = bytes([*PNG[:-1], PNG[-1] ^ 1])
    obstore.put(s3.store(bucket.name), "a set/v1/a.png", PNG)
    obstore.put(s3.store(bucket.name), "a set/v1/b.png", same_size)
    assert (await save(store, tmp_path)).name == "a.png"
    assert (await save(store, tmp_path, the_order=order("b"))).name == "b~other-2.png"


@pytest.mark.parametrize("fault", [refuse("503 Slow Down"), cut, done_and_cut])
async def test_a_request_that_broke_is_sent_again(store, s3, bucket, tmp_path, fault):
    faults = iter([fault, fault])
    with s3.ruled(lambda method, path: next(faults, None) if method == "PUT" else None):
        saved = await save(store, tmp_path)
    assert s3.objects(bucket.name) == {"a set/v1/a.png": PNG}
    assert saved.name == "a.png"


async def test_an_answer_for_other_bytes_is_not_believed(store):
    """As if they were lost on the way, and the store took what came."""
    meant = ObjectContent.of(PNG)
    sent = replace(meant, data=PNG[:-1])
    assert not await store.create("a.png", sent)
    assert not await store.holds("a.png", meant.size, meant.sha256)


async def test_a_store_that_is_away_holds_the_run_and_costs_no_second_download(
    store, s3, bucket, tmp_path
):
    fetched = []

    async def count(sink):
        fetched.append(1)

    async with outputs(store, tmp_path, then=count) as port:
        with s3.ruled(lambda *_: refuse("503 Slow Down")):
            with pytest.raises(SaveError) as caught:
                await port.save(order())
            assert caught.value.fault is SaveFault.STORE_AWAY
            assert "HTTP 503" in caught.value.detail
            assert str(bucket) in caught.value.detail
            assert not await port.takes_files()
        assert await port.takes_files()
        assert (await port.save(order())).name == "a.png"
    assert fetched == [1]
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("fault", ["403 QuotaExceeded", "507 StorageFull"])
async def test_a_store_that_takes_no_new_objects_is_asked_by_one(
    store, s3, bucket, tmp_path, fault
):
    """The marker is there already: to write it again is refused before any quota is asked."""
    await store.create(MARKER_NAME, ObjectContent.of(marker_of("r"), "application/json"))

    def full(method, path):
        return refuse(fault) if method == "PUT" and path.endswith(".png") else None

    async with outputs(store, tmp_path) as port:
        with s3.ruled(full):
            with pytest.raises(SaveError) as caught:
                await port.save(order())
            assert caught.value.fault is SaveFault.STORE_AWAY
            assert [await port.takes_files() for _ in range(3)] == [False] * 3
        assert await port.takes_files()
        assert (await port.save(order())).name == "a.png"
        assert await port.takes_files()
    assert list(s3.objects(bucket.name).values()).count(PNG) == 1
    assert left_in(tmp_path) == []


async def test_without_the_file_that_was_refused_the_marker_is_asked(store, s3, bucket, tmp_path):
    async with outputs(store, tmp_path) as port:
        with s3.ruled(lambda *_: refuse("503 Slow Down")):
            with pytest.raises(SaveError):
                await port.save(order())
            (tmp_path / ".outbox" / "r" / "7-1~0.png").unlink()
            assert not await port.takes_files()
        assert await port.takes_files()


async def test_what_was_brought_home_outlives_the_process(store, s3, bucket, tmp_path):
    with s3.ruled(lambda *_: cut), pytest.raises(SaveError):
        await save(store, tmp_path)
    assert left_in(tmp_path) == ["7-1~0.png"]
    # The next process would get other bytes; it need not ask.
    async with outputs(store, tmp_path, OTHER_PNG) as port:
        assert (await port.save(order())).size == len(PNG)
        assert left_in(tmp_path) == []
        assert (await port.save(order())).size == len(OTHER_PNG), "what is gone is fetched"
    assert list(s3.objects(bucket.name).values()) == [PNG, OTHER_PNG]
    assert left_in(tmp_path) == []


async def test_a_file_of_another_record_is_left_alone(store, s3, bucket, tmp_path):
    with s3.ruled(lambda *_: cut), pytest.raises(SaveError):
        await save(store, tmp_path, OTHER_PNG, run_id="before")
    await save(store, tmp_path, PNG, run_id="after")
    assert list(s3.objects(bucket.name).values()) == [PNG]


async def test_a_damaged_file_of_the_outbox_is_brought_anew(store, s3, bucket, tmp_path):
    with s3.ruled(lambda *_: cut), pytest.raises(SaveError):
        await save(store, tmp_path)
    (tmp_path / ".outbox" / "r" / "7-1~0.png").write_bytes(PNG[:20])
    await save(store, tmp_path)
    assert list(s3.objects(bucket.name).values()) == [PNG]
    assert left_in(tmp_path) == []


async def test_a_cut_file_of_the_outbox_stays_until_another_one_is_here(
    store, s3, bucket, tmp_path
):
    """It may have come so, and be all that there is of what was paid for."""
    with s3.ruled(lambda *_: cut), pytest.raises(SaveError):
        await save(store, tmp_path, PNG[:-20])
    assert left_in(tmp_path) == ["7-1~0.png"]

    async def gone(sink):
        raise SaveError(SaveFault.GONE, "HTTP 404")

    async with outputs(store, tmp_path, then=gone) as port:
        with pytest.raises(SaveError, match="404"):
            await port.save(order())
    assert left_in(tmp_path) == ["7-1~0.png"]
    assert not (await save(store, tmp_path, PNG[:-20])).verified
    assert list(s3.objects(bucket.name).values()) == [PNG[:-20]]
    assert left_in(tmp_path) == []


async def test_what_came_inside_an_answer(store, s3, bucket, tmp_path):
    async with outputs(store, tmp_path) as port:
        staged = await port.stage("7-1", 0, PNG)
        with s3.ruled(lambda *_: cut), pytest.raises(SaveError):
            await port.save(order(staged=staged))
    async with outputs(store, tmp_path) as port:  # the next process
        saved = await port.save(order(staged=staged))
    assert (saved.name, saved.sha256) == ("a.png", hashlib.sha256(PNG).hexdigest())
    async with outputs(store, tmp_path) as port:  # one that died before it could be recorded
        assert await port.save(order(staged=staged)) == saved
        with pytest.raises(SaveError) as caught:
            await port.save(order("b", staged=staged))
    assert caught.value.fault is SaveFault.GONE
    assert list(s3.objects(bucket.name).values()) == [PNG]


async def test_a_cancelled_save_can_be_repeated(store, s3, bucket, tmp_path):
    async with outputs(store, tmp_path) as port:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def rule(method, path):
            loop.call_soon_threadsafe(started.set)

        with s3.ruled(rule):
            task = asyncio.create_task(port.save(order()))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await port.save(order())).name == "a.png"
    assert list(s3.objects(bucket.name).values()) == [PNG]


async def test_a_name_that_no_store_takes(store, tmp_path):
    stem = "/".join(["x" * 180] * 6)
    with pytest.raises(SaveError, match="too long") as caught:
        await save(store, tmp_path, the_order=order(stem))
    assert caught.value.fault is SaveFault.REFUSED


# --- what a store says


@pytest.mark.parametrize(
    ("fault", "expected", "told"),
    [
        (refuse("503 Slow Down", "SlowDown", "reduce"), StoreFault.AWAY, StoppedEarly),
        (refuse("500 Oops"), StoreFault.AWAY, StoppedEarly),
        (cut, StoreFault.AWAY, StoppedEarly),
        (refuse("403 Forbidden", "AccessDenied", "no"), StoreFault.FORBIDDEN, UserError),
        (refuse("401 Unauthorized"), StoreFault.FORBIDDEN, UserError),
        (refuse("400 Bad", "ExpiredToken", "expired"), StoreFault.FORBIDDEN, UserError),
        (refuse("301 Moved"), StoreFault.FORBIDDEN, UserError),
        (refuse("404 Not Found", "NoSuchBucket", "none"), StoreFault.MISSING, UserError),
        (refuse("400 Bad", "KeyTooLongError", "long"), StoreFault.MISFIT, UserError),
        (refuse("501 Not Implemented"), StoreFault.UNFIT, UserError),
    ],
)
async def test_what_a_store_says(store, s3, fault, expected, told):
    with s3.ruled(lambda *_: fault), pytest.raises(StoreError) as caught:
        await store.create("a.png", ObjectContent.of(PNG))
    assert caught.value.fault is expected
    assert isinstance(caught.value.told(), told)
    text = str(caught.value) + str(caught.value.told())
    assert SECRET not in text
    assert "<" not in text


@pytest.mark.parametrize(
    "address", ["https://a.example/c/x?sv=1&sig=h1d/den", "https://me:h1dden@a.example/x"]
)
def test_an_address_that_holds_a_secret_is_not_told(bucket, address):
    said = f"Generic X error: Error performing PUT {address} in 1.2ms - HTTP error"
    match = r"a\.example/.* - HTTP error"
    with pytest.raises(StoreError, match=match) as caught, store_faults(bucket):
        raise GenericError(said)
    assert "h1d" not in str(caught.value)


def test_without_the_extra(bucket, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(UserError, match=r"python -m pip install obstore"):
        connect(bucket)


async def test_a_silent_store_is_given_up(s3, store, bucket):
    release = asyncio.Event()

    async def silent(reader, writer):
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    impatient = StoreSettings(timeout_s=0.05, min_bytes_per_s=1e9, delays_s=(0.01,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        far = connect(bucket, impatient)
        with pytest.raises(StoreError, match="in time") as caught:
            await far.create("a.png", ObjectContent.of(PNG))
    assert caught.value.fault is StoreFault.AWAY
    release.set()
    server.close()
    await server.wait_closed()


async def test_no_credentials(store, bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="no credentials") as caught:
        await connect(bucket, QUICK).create("a.png", ObjectContent.of(PNG))
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.told())


def test_settings_that_make_no_sense(monkeypatch):
    with pytest.raises(UserError, match="AZURE_STORAGE"):
        connect(Bucket(Scheme.AZ, "container"))


# --- reading, and what else is there


async def test_reading(store, s3, bucket, tmp_path):
    await save(store, tmp_path, BIG_PNG)
    files = StoreFiles(bucket, store)
    assert files.local("a.png") is None

    def read():
        with files.open("a.png") as file:
            head = file.read(8)
            return head + file.read()

    assert await asyncio.to_thread(read) == BIG_PNG
    with pytest.raises(FileNotFoundError) as absent:
        await asyncio.to_thread(files.open, "b.png")
    # What an export tells a missing file by, as of a disk.
    assert (absent.value.errno, absent.value.strerror) == (errno.ENOENT, "there is no such object")
    directory = with_place(RunDirectory(tmp_path), str(bucket))
    assert isinstance(open_outputs(directory), StoreFiles)
    assert directory.place == str(bucket)


def test_reading_from_a_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    files = open_outputs(with_place(RunDirectory(tmp_path / "run"), str(tmp_path)))
    assert isinstance(files, FolderFiles)
    with files.open("a.png") as file:
        assert file.read() == PNG
    assert files.local("a.png") == tmp_path / "a.png"


async def test_replaced_objects_are_kept_out_of_the_way(store, s3, bucket, tmp_path):
    for data in (PNG, OTHER_PNG):
        await save(store, tmp_path, data, order("m/a"))
        await set_aside(bucket, ["m/a.png", "never.png"])
    assert s3.objects(bucket.name) == {
        "a set/v1/.replaced/m/a.png": PNG,
        "a set/v1/.replaced/m/a~1.png": OTHER_PNG,
    }
