#include "checkpoint/load.hpp"

#include <omp.h>

#include "checkpoint/batch.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/placement.hpp"
#include "checkpoint/read_ahead.hpp"
#include "checkpoint/writer.hpp"

namespace concordat::checkpoint {

namespace {

/// The processors are the readers', so this thread copies alone: OpenMP's threads would wait for
/// its next copy without giving theirs up.
class OneThread {
 public:
  OneThread() { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

/// The batch in which the last of each tensor arrives.
std::vector<std::size_t> last_batches(const std::vector<Batch>& batches, std::size_t num_tensors) {
  std::vector<std::size_t> last(num_tensors);
  for (std::size_t b = 0; b < batches.size(); ++b) {
    for (const Window& window : batches[b]) last[window.dataset] = b;
  }
  return last;
}

/// Collective: roots and strays of all ranks together.
Loaded gather(comm::Communicator& comm, const std::vector<NamedTensor>& tensors,
              const std::vector<std::uint64_t>& strays, const std::vector<Digest>& leaves) {
  ByteWriter mine;
  for (const std::uint64_t stray : strays) mine.u64(stray);
  for (const Digest& leaf : leaves) mine.digest(leaf);
  const auto all = comm.all_gather_bytes(mine.bytes());
  Loaded loaded{.strays = std::vector<std::uint64_t>(tensors.size())};
  std::vector<ByteReader> readers;
  for (const Bytes& bytes : all) {
    readers.emplace_back(bytes, "checkpoint leaves");
    for (std::uint64_t& sum : loaded.strays) sum += readers.back().u64();
  }
  std::vector<Shape> shapes;
  for (const auto& tensor : tensors) shapes.push_back(tensor.shape);
  loaded.roots = roots_of(readers, shapes);
  return loaded;
}

}  // namespace

std::string agree_on_reason(comm::Communicator& comm, const std::string& mine) {
  const auto all = comm.all_gather_bytes(as_bytes(mine));
  for (const auto& text : all) {
    if (!text.empty()) return to_string(text);
  }
  return {};
}

Loaded load(comm::Communicator& comm, FileSystem& fs, const Path& state, OpenMode mode,
            const std::vector<NamedTensor>& tensors,
            const std::vector<const Manifest::Dataset*>& datasets) {
  ReadAhead ahead({fs, state, mode, comm.rank(), comm.size()}, tensors, datasets);
  const auto last = last_batches(ahead.batches(), tensors.size());
  std::vector<std::uint64_t> placed(tensors.size());
  Writer beside;  // adds up large tensors while the next batches come
  const OneThread alone;
  for (std::size_t b = 0; b < ahead.batches().size(); ++b) {
    const Batch& batch = ahead.batches()[b];
    const auto& taken = ahead.take();
    if (auto first = agree_on_reason(comm, taken.reason); !first.empty()) return {.reason = first};
    BatchParts(comm, tensors, batch, taken.parts).distribute();
    ahead.give_back();
    for (const Window& window : batch) {
      if (last[window.dataset] != b) continue;
      const auto add = [&placed, &tensors, i = window.dataset] {
        placed[i] = placement_sum(tensors[i]);
      };
      if (window.whole) {
        add();  // while it is in the processor's cache
      } else {
        beside.check();
        beside.start(add);
      }
    }
  }
  beside.check();
  std::vector<std::uint64_t> strays = ahead.sums();
  for (std::size_t i = 0; i < strays.size(); ++i) strays[i] -= placed[i];
  return gather(comm, tensors, strays, ahead.leaves());
}

std::string damage_of(const Manifest::Dataset& dataset, const Digest& root) {
  if (root == dataset.root) return {};
  return "dataset " + dataset.name + " hashes to " + root.hex() + " instead of " +
         dataset.root.hex();
}

std::string verify_datasets(comm::Communicator& comm, FileSystem& fs, const Path& state,
                            OpenMode mode, const std::vector<Manifest::Dataset>& datasets) {
  std::vector<NamedTensor> tensors;
  std::vector<Shape> shapes;
  std::vector<const Manifest::Dataset*> sources;
  for (const auto& dataset : datasets) {
    tensors.push_back({.name = dataset.name, .shape = dataset.shape, .dtype = dataset.dtype});
    shapes.push_back(dataset.shape);
    sources.push_back(&dataset);
  }
  ReadAhead ahead({fs, state, mode, comm.rank(), comm.size()}, tensors, sources);
  std::string mine;
  for (std::size_t b = 0; b < ahead.batches().size() && mine.empty(); ++b) {
    mine = ahead.take().reason;
    if (mine.empty()) ahead.give_back();
  }
  if (auto reason = agree_on_reason(comm, mine); !reason.empty()) return reason;
  const auto roots = gather_roots(comm, ahead.leaves(), shapes);
  for (std::size_t i = 0; i < datasets.size(); ++i) {
    if (auto damage = damage_of(datasets[i], roots[i]); !damage.empty()) return damage;
  }
  return {};
}

}  // namespace concordat::checkpoint
