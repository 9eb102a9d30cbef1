"""Reads a generation written by the test `Foreign.h5py_reads_shapes_types_and_values`."""
import hashlib
import json
import pathlib
import sys

import h5py
import numpy

folder = pathlib.Path(sys.argv[1])
with h5py.File(folder / "state.h5", "r") as state:
    print(state.attrs["format"].decode())
    embed = state["weights/embed"]
    print("embed", list(embed.shape), embed.dtype, embed[10, 5])
    moment = state["moments/first/o"]
    values = numpy.arange(300 * 480, dtype=numpy.uint64).reshape(300, 480) + 77 * 5
    same = numpy.array_equal(moment[...], values.astype(numpy.uint16))
    print("o", list(moment.shape), moment.attrs["dtype"].decode(), "same" if same else "differs")
    print("counter", list(state["counter"].shape), state["counter"].dtype, state["counter"][()])

    manifest = json.loads((folder / "manifest.json").read_text())
    body = json.dumps(manifest["body"], separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    agrees = hashlib.sha256(body.encode()).hexdigest() == manifest["sha256"]
    for entry in manifest["body"]["datasets"]:
        dataset = state[entry["name"]]
        agrees &= dataset.id.get_offset() == entry["offset"] and list(dataset.shape) == entry["shape"]
        agrees &= dataset.chunks is None
        # RFC 6962 over blocks of 2^16 elements.
        raw = dataset[...].tobytes()
        size = dataset.dtype.itemsize << manifest["body"]["block_log2"]
        level = [hashlib.sha256(b"\0" + raw[i:i + size]).digest() for i in range(0, len(raw), size)]
        while len(level) > 1:
            pairs = [level[i:i + 2] for i in range(0, len(level), 2)]
            level = [hashlib.sha256(b"\1" + p[0] + p[1]).digest() if len(p) == 2 else p[0] for p in pairs]
        agrees &= level[0].hex() == entry["root"]
    print("contiguous, manifest", "agrees" if agrees else "differs")
