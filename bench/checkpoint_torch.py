"""What PyTorch's distributed checkpoint and h5py need for the state of checkpoint_bench.cpp.

    python checkpoint_torch.py FOLDER sync|async|load|h5save|h5load [LAYERS]

GPT-2 with LAYERS layers of width 768 (12): weights and both moments in fp32, one process, gloo.
sync: torch.distributed.checkpoint.save, which syncs its files. async: async_save; pause is the time
until it returns, of the second of two calls. load: into tensors that are there, after the files left
the page cache. h5save: one contiguous dataset a tensor, flushed and synced. h5load: of all of them,
the same way. Nothing is verified by any of these. The last line is key=value.
"""

import os
import shutil
import sys
import time


def shapes(layers):
    width, ffn = 768, 3072
    yield "model.embed.weight", (50257, width)
    yield "model.positions.weight", (1024, width)
    for layer in range(layers):
        for name, shape in (
            ("norm_1.weight", (width,)), ("norm_1.bias", (width,)),
            ("qkv.weight", (3 * width, width)), ("qkv.bias", (3 * width,)),
            ("out.weight", (width, width)), ("out.bias", (width,)),
            ("norm_2.weight", (width,)), ("norm_2.bias", (width,)),
            ("up.weight", (ffn, width)), ("up.bias", (ffn,)),
            ("down.weight", (width, ffn)), ("down.bias", (width,)),
        ):
            yield f"model.layers.{layer}.{name}", shape
    yield "model.norm.weight", (width,)
    yield "model.norm.bias", (width,)


def files_of(folder):
    return [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]


def leave_page_cache(folder):
    for path in files_of(folder):
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def report(what, folder, total, pause=None):
    size = sum(os.path.getsize(path) for path in files_of(folder))
    pause = total if pause is None else pause
    print(f"{what} bytes={size} pause_s={pause:.3f} total_s={total:.3f} gb_per_s={size * 1e-9 / total:.3f}")


def main():
    folder, what = sys.argv[1:3]
    layers = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    names = [(group + name, shape) for group in ("weights/", "adamw_m/", "adamw_v/") for name, shape in shapes(layers)]
    if what.endswith("save") or what in ("sync", "async"):
        shutil.rmtree(folder, ignore_errors=True)
    if what.startswith("h5"):
        import h5py
        import numpy

        draw = numpy.random.default_rng(1)
        state = {name: draw.random(shape, dtype=numpy.float32) for name, shape in names}
        path = os.path.join(folder, "state.h5")
        start = None
        if what == "h5save":
            os.makedirs(folder)
            start = time.monotonic()
            with h5py.File(path, "w") as file:
                for name, values in state.items():
                    file.create_dataset(name, data=values)
                file.flush()
                os.fsync(file.id.get_vfd_handle())
        else:
            leave_page_cache(folder)
            start = time.monotonic()
            with h5py.File(path, "r") as file:
                for name, values in state.items():
                    file[name].read_direct(values)
        report(what, folder, time.monotonic() - start)
        return

    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp

    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29511")
    dist.init_process_group("gloo", rank=0, world_size=1)
    state = {name: torch.rand(shape) for name, shape in names}
    if what == "sync":
        start = time.monotonic()
        dcp.save(state, checkpoint_id=folder)
        report(what, folder, time.monotonic() - start)
    elif what == "async":
        for attempt in range(2):  # the first call starts threads and allocates
            shutil.rmtree(folder, ignore_errors=True)
            os.sync()
            start = time.monotonic()
            future = dcp.async_save(state, checkpoint_id=folder)
            pause = time.monotonic() - start
            future.result()
            total = time.monotonic() - start
        report(what, folder, total, pause)
    else:
        leave_page_cache(folder)
        start = time.monotonic()
        dcp.load(state, checkpoint_id=folder)
        report(what, folder, time.monotonic() - start)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
