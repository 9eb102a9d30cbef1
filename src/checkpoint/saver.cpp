#include "concordat/checkpoint/saver.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "checkpoint/draft.hpp"
#include "checkpoint/extents.hpp"
#include "checkpoint/fast_tier.hpp"
#include "checkpoint/generations.hpp"
#include "checkpoint/manifest.hpp"
#include "checkpoint/named_tensor.hpp"
#include "checkpoint/snapshot.hpp"
#include "checkpoint/writer.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/core/seconds.hpp"
#include "concordat/crypto/hash.hpp"

namespace concordat::checkpoint {

/// What outlives a generation.
struct Saver::Thread {
  Snapshot snapshot;
  std::atomic<bool> given_up{false};
  Writer writer;  // last: its thread reads the others
};

/// The generation in flight. The writer's thread and the host thread take turns with it.
struct Saver::Job {
  enum class Phase { layout, extents, manifest, naming } phase = Phase::layout;
  std::size_t tier = 0;
  SaveOptions options;
  Draft draft;
  Manifest manifest;                  ///< complete at rank 0 once the roots are known
  std::string text;                   ///< of manifest.json, at ranks that write it
  std::vector<Digest> leaves;         ///< of this rank's extents
  std::vector<Bytes> gathered;        ///< rank 0: seconds and leaves of every rank
  std::chrono::nanoseconds spent{0};  ///< writing extents, by this rank's thread
  Path tidy;  ///< fast folder in which only this generation shall stay; empty: none
  Saved saved;
};

namespace {

std::vector<DatasetShape> shapes_of(const Manifest& manifest) {
  std::vector<DatasetShape> datasets;
  for (const auto& d : manifest.datasets) datasets.push_back({d.name, d.shape, d.dtype});
  return datasets;
}

/// Fills in the roots from what every rank sent: its seconds, then its leaves. The longest seconds.
double take_roots(Manifest& manifest, const std::vector<Bytes>& gathered) {
  std::vector<ByteReader> readers;
  double longest = 0.0;
  for (const Bytes& bytes : gathered) {
    readers.emplace_back(bytes, "checkpoint leaves");
    longest = std::max(longest, readers.back().f64());
  }
  std::vector<Shape> shapes;
  for (const auto& dataset : manifest.datasets) shapes.push_back(dataset.shape);
  const auto roots = roots_of(readers, shapes);
  for (std::size_t i = 0; i < roots.size(); ++i) manifest.datasets[i].root = roots[i];
  return longest;
}

}  // namespace

Saver::Saver(comm::Communicator& comm, FileSystem& fs, const Clock& clock, Path folder,
             const FastTier& fast)
    : comm_(comm), fs_(fs), clock_(clock), thread_(std::make_unique<Thread>()) {
  if (!fast.folder.empty()) tiers_.push_back({fast.folder, true, leads_node(comm, fast.node)});
  tiers_.push_back({std::move(folder), false, comm.rank() == 0});
}

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
  job_->options = std::move(options);
  job_->manifest.position = position;
  job_->manifest.metadata = metadata;
  for (const auto& tensor : tensors) {
    job_->manifest.datasets.push_back({tensor.name, tensor.shape, tensor.dtype, 0, {}});
  }
  try {
    choose_name(position.step);
    lay_out();  // while the ranks copy
    thread_->snapshot.take(comm_, tensors);
    write_parts();
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

const Saver::Tier& Saver::tier() const { return tiers_[job_->tier]; }

std::optional<Saved> Saver::advance() {
  switch (job_->phase) {
    case Job::Phase::layout:
      write_parts();
      return std::nullopt;
    case Job::Phase::extents:
      gather_parts();
      return std::nullopt;
    case Job::Phase::manifest:
      give_names();
      return std::nullopt;
    case Job::Phase::naming:
      return end_tier();
  }
  throw Bug("no such phase");
}

void Saver::choose_name(std::uint64_t step) {
  Bytes name;
  comm::agreed(comm_, [&] {
    if (comm_.rank() != 0) return;
    std::vector<Path> folders;
    for (const Tier& tier : tiers_) folders.push_back(tier.folder);
    if (tiers_.size() > 1) {
      make_room(fs_, tiers_.back().folder, shapes_of(job_->manifest), job_->options.alignment);
    }
    const std::string text = next_name(fs_, folders, step);
    name.assign(text.begin(), text.end());
  });
  comm_.broadcast_bytes(name, 0);
  job_->saved.name = to_string(name);
}

void Saver::lay_out() {
  Job& job = *job_;
  job.phase = Job::Phase::layout;
  job.draft = {
      .name = job.saved.name, .folder = draft_folder(tier().folder, job.saved.name), .layout = {}};
  if (!tier().acts) return;
  thread_->writer.start([this, &job, folder = tier().folder] {
    job.draft =
        prepare(fs_, folder, job.saved.name, shapes_of(job.manifest), job.options.alignment);
  });
}

void Saver::write_parts() {
  Job& job = *job_;
  comm::agreed(comm_, [&] { thread_->writer.check(); });
  const FileLayout own = job.draft.layout;
  share(comm_, job.draft.layout);
  comm::agreed(comm_, [&] {
    if (!tier().acts || own == job.draft.layout) return;
    throw Error(errors::hdf5_failed,
                {.what = "the HDF5 libraries of two nodes lay a file out unlike",
                 .where = job.draft.folder.string(),
                 .found = std::to_string(own.file_bytes) + " bytes",
                 .expected = std::to_string(job.draft.layout.file_bytes),
                 .remedy = "install the same HDF5 on all nodes of the site"});
  });
  for (std::size_t i = 0; i < job.manifest.datasets.size(); ++i) {
    job.manifest.datasets[i].offset = job.draft.layout.offsets[i];
  }
  job.phase = Job::Phase::extents;
  thread_->writer.start([this, &job] {
    const auto start = clock_.monotonic();
    if (!job.tidy.empty()) keep_only(fs_, job.tidy, job.saved.name);
    job.leaves = write_extents(fs_, job.draft.folder / state_name, job.draft.layout.offsets,
                               thread_->snapshot, thread_->given_up);
    job.spent = clock_.monotonic() - start;
  });
}

void Saver::gather_parts() {
  Job& job = *job_;
  comm::agreed(comm_, [&] { thread_->writer.check(); });
  ByteWriter mine;
  mine.f64(seconds(job.spent));
  for (const Digest& leaf : job.leaves) mine.digest(leaf);
  job.gathered = comm_.gather_bytes(mine.bytes(), 0);
  job.phase = Job::Phase::manifest;
  if (comm_.rank() != 0) return;
  thread_->writer.start([this, &job] {
    const auto start = clock_.monotonic();
    const double longest = take_roots(job.manifest, job.gathered);
    job.text = complete_manifest(fs_, job.draft, job.manifest);
    const Digest digest = crypto::sha256(as_bytes(job.text));
    // What stands in the ledger for the fast tier stands for both.
    CONCORDAT_REQUIRE(job.tier == 0 || digest == job.saved.manifest, job.draft.name);
    job.saved.manifest = digest;
    job.saved.bytes = job.draft.layout.file_bytes;
    write_manifest(fs_, job.draft, job.text);
    job.saved.write_seconds += longest + seconds(clock_.monotonic() - start);
  });
}

void Saver::give_names() {
  Job& job = *job_;
  const bool first = comm_.rank() == 0;
  comm::agreed(comm_, [&] {
    thread_->writer.check();
    const bool asked = first && job.tier == 0 && job.options.before_publish;
    if (asked) job.options.before_publish(job.saved);
  });
  job.phase = Job::Phase::naming;
  if (!tier().fast) {
    if (!first) return;
    thread_->writer.start([this, &job, folder = tier().folder] {
      const auto start = clock_.monotonic();
      if (tiers_.size() == 1) remove_fast_record(fs_, folder);
      give_name(fs_, folder, job.draft, job.saved, job.options);
      job.saved.write_seconds += seconds(clock_.monotonic() - start);
    });
    return;
  }
  Bytes text(job.text.begin(), job.text.end());
  comm_.broadcast_bytes(text, 0);
  if (!tier().acts) return;
  job.text = to_string(text);
  thread_->writer.start([this, &job, first, folder = tier().folder] {
    if (!first) write_manifest(fs_, job.draft, job.text);
    give_fast_name(fs_, folder, job.draft);
    if (first) {
      write_fast_record(fs_, tiers_.back().folder, {job.saved.name, job.saved.manifest});
    }
  });
}

std::optional<Saved> Saver::end_tier() {
  Job& job = *job_;
  comm::agreed(comm_, [&] { thread_->writer.check(); });
  if (job.tier + 1 < tiers_.size()) {
    job.tidy = tier().acts ? tier().folder : Path();
    ++job.tier;
    lay_out();
    return std::nullopt;
  }
  share(comm_, job.saved);
  Saved saved = std::move(job.saved);
  job_.reset();
  return saved;
}

}  // namespace concordat::checkpoint
