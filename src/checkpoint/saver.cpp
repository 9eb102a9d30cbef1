#include "concordat/checkpoint/saver.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "checkpoint/draft.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/manifest.hpp"
#include "checkpoint/named_tensor.hpp"
#include "checkpoint/snapshot.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/comm/agree.hpp"

namespace concordat::checkpoint {

/// What outlives a generation.
struct Saver::Thread {
  Snapshot snapshot;
  std::atomic<bool> given_up{false};
  Writer writer;  // last: its thread reads the others
};

/// The generation in flight. The writer's thread and the host thread take turns with it.
struct Saver::Job {
  enum class Phase { extents, manifest, naming } phase = Phase::extents;
  SaveOptions options;
  Draft draft;
  Manifest manifest;                  ///< complete at rank 0 once the roots are known
  std::vector<Digest> leaves;         ///< of this rank's extents
  std::vector<Bytes> gathered;        ///< rank 0: seconds and leaves of every rank
  std::chrono::nanoseconds spent{0};  ///< writing, by this rank's thread
  Saved saved;
};

namespace {

std::vector<DatasetShape> shapes_of(const std::vector<NamedTensor>& tensors) {
  std::vector<DatasetShape> datasets;
  for (const auto& tensor : tensors) datasets.push_back({tensor.name, tensor.shape, tensor.dtype});
  return datasets;
}

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Saver::Saver(comm::Communicator& comm, FileSystem& fs, const Clock& clock, Path folder)
    : comm_(comm),
      fs_(fs),
      clock_(clock),
      folder_(std::move(folder)),
      thread_(std::make_unique<Thread>()) {}

Saver::~Saver() { give_up(); }

void Saver::give_up() noexcept {
  thread_->given_up = true;
  try {
    thread_->writer.check();
  } catch (...) {
    // The generation is dropped for another reason already.
  }
  thread_->given_up = false;
  job_.reset();
}

void Saver::reserve(const std::vector<NamedTensor>& tensors) {
  CONCORDAT_REQUIRE(!in_flight(), "a generation is written from the snapshot");
  thread_->snapshot.reserve(comm_, tensors);
}

bool Saver::writing() const { return !thread_->writer.idle(); }

std::optional<Saved> Saver::begin(const Position& position, const std::vector<NamedTensor>& tensors,
                                  const Metadata& metadata, SaveOptions options) {
  std::optional<Saved> earlier = finish();
  check_same_list(comm_, tensors);
  job_ = std::make_unique<Job>();
  Job& job = *job_;
  Writer& writer = thread_->writer;
  job.options = std::move(options);
  job.manifest.position = position;
  job.manifest.metadata = metadata;
  for (const auto& tensor : tensors) {
    job.manifest.datasets.push_back({tensor.name, tensor.shape, tensor.dtype, 0, {}});
  }
  try {
    // Rank 0 lays the file out while the ranks copy.
    if (comm_.rank() == 0) {
      writer.start([this, &job, datasets = shapes_of(tensors)] {
        job.draft =
            prepare(fs_, folder_, job.manifest.position.step, datasets, job.options.alignment);
      });
    }
    thread_->snapshot.take(comm_, tensors);
    comm::agreed(comm_, [&] { writer.check(); });
    share(comm_, job.draft);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      job.manifest.datasets[i].offset = job.draft.layout.offsets[i];
    }
    writer.start([this, &job] {
      const auto start = clock_.monotonic();
      job.leaves = write_extents(fs_, job.draft.folder / state_name, job.draft.layout.offsets,
                                 thread_->snapshot, thread_->given_up);
      job.spent = clock_.monotonic() - start;
    });
  } catch (...) {
    give_up();
    throw;
  }
  return earlier;
}

std::optional<Saved> Saver::poll() {
  if (!job_) return std::nullopt;
  std::array<std::int32_t, 1> busy{writing() ? 1 : 0};
  if (comm_.size() > 1) comm::all_reduce_host<std::int32_t>(comm_, busy, comm::ReduceOp::max);
  return poll(busy[0] == 0);
}

std::optional<Saved> Saver::poll(bool all_written) {
  if (!job_ || !all_written) return std::nullopt;
  try {
    return advance();
  } catch (...) {
    give_up();
    throw;
  }
}

std::optional<Saved> Saver::finish() {
  std::optional<Saved> saved;
  while (job_) {
    // A tenth of a second at most, so that the other ranks hear of this one in time.
    thread_->writer.wait_for(std::chrono::milliseconds(100));
    saved = poll();
  }
  return saved;
}

std::optional<Saved> Saver::advance() {
  Job& job = *job_;
  Writer& writer = thread_->writer;
  const bool first = comm_.rank() == 0;
  switch (job.phase) {
    case Job::Phase::extents: {
      comm::agreed(comm_, [&] { writer.check(); });
      ByteWriter mine;
      mine.f64(seconds(job.spent));
      for (const Digest& leaf : job.leaves) mine.digest(leaf);
      job.gathered = comm_.gather_bytes(mine.bytes(), 0);
      job.phase = Job::Phase::manifest;
      if (!first) return std::nullopt;
      writer.start([this, &job] {
        const auto start = clock_.monotonic();
        std::vector<ByteReader> readers;
        double longest = 0.0;
        for (const Bytes& bytes : job.gathered) {
          readers.emplace_back(bytes, "checkpoint leaves");
          longest = std::max(longest, readers.back().f64());
        }
        std::vector<Shape> shapes;
        for (const auto& dataset : job.manifest.datasets) shapes.push_back(dataset.shape);
        const auto roots = roots_of(readers, shapes);
        for (std::size_t i = 0; i < roots.size(); ++i) job.manifest.datasets[i].root = roots[i];
        job.saved = write_manifest(fs_, job.draft, job.manifest);
        job.saved.write_seconds = longest + seconds(clock_.monotonic() - start);
      });
      return std::nullopt;
    }
    case Job::Phase::manifest:
      comm::agreed(comm_, [&] {
        writer.check();
        if (first && job.options.before_publish) job.options.before_publish(job.saved);
      });
      job.phase = Job::Phase::naming;
      if (!first) return std::nullopt;
      writer.start([this, &job] {
        const auto start = clock_.monotonic();
        give_name(fs_, folder_, job.draft, job.saved, job.options);
        job.saved.write_seconds += seconds(clock_.monotonic() - start);
      });
      return std::nullopt;
    case Job::Phase::naming: {
      comm::agreed(comm_, [&] { writer.check(); });
      share(comm_, job.saved);
      Saved saved = std::move(job.saved);
      job_.reset();
      return saved;
    }
  }
  throw Bug("no such phase");
}

}  // namespace concordat::checkpoint
