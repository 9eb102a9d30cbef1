#include <algorithm>

#include "concordat/border/frames.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/crypto/merkle.hpp"
#include "concordat/site/errors.hpp"
#include "site/ranks_upload.hpp"
#include "site/run_records.hpp"

namespace concordat::site {

namespace {

[[noreturn]] void refuse(const ErrorCode& code, std::string what, const FileSystem::Path& where,
                         const std::string& found, const std::string& expected) {
  throw Error(code, {.what = std::move(what),
                     .where = where.string(),
                     .found = found,
                     .expected = expected,
                     .remedy = "stop the job and restore the run folder's inbox from a copy, and "
                               "its checkpoints too if the states differ; remove nothing: the "
                               "border fetches an aggregate once"});
}

/// Rank 0: the leaves, if they lead to the closing record's root, and its weight is the sum's.
Bytes read_leaves(const ExchangeJob& job, const ClosedRecord& closed, std::size_t num_blocks) {
  FileSystem& fs = job.folder.files();
  const auto path = job.folder.aggregate_leaves(job.exchange);
  Bytes bytes((num_blocks + 1) * 32);
  fs.open(path, OpenMode::read)->read_at(0, bytes);
  crypto::MerkleBuilder tree;
  Digest leaf;
  for (std::size_t i = 0; i <= num_blocks; ++i) {
    leaf = digest_from(ByteView(bytes).subspan(i * 32, 32), path.string());
    tree.add(leaf);
  }
  if (tree.root() != closed.aggregate_root) {
    refuse(errors::block_digest, "the leaves do not lead to the closing record's root", path,
           tree.root().hex(), closed.aggregate_root.hex());
  }
  const auto weight_path = job.folder.aggregate_weight(job.exchange);
  const Bytes weight = read_file(fs, weight_path, 4);
  if (border::block_leaf({border::BlockVector::weight, 0}, weight) != leaf) {
    refuse(errors::block_digest, "the aggregate weight is not what was signed", weight_path,
           to_hex(weight), "a lane whose leaf is " + leaf.hex());
  }
  ByteReader in(weight, weight_path.string());
  if (const std::uint32_t total = in.u32(); total != closed.total_weight) {
    refuse(errors::state_differs, "the closing record has another total weight", weight_path,
           std::to_string(closed.total_weight), std::to_string(total));
  }
  return bytes;
}

void check_state(const ExchangeJob& job, const ClosedRecord& closed, const Digest& state) {
  if (closed.state_digest == state) return;
  refuse(errors::state_differs, "the exchange began from another state than this job holds",
         job.folder.inbox(job.exchange) / "CLOSED", state.hex(), closed.state_digest.hex());
}

void check_closed(const ExchangeJob& job, const ClosedRecord& closed, const RankSecrets& secrets,
                  const CommitRecord& commit) {
  const auto path = job.folder.inbox(job.exchange) / "CLOSED";
  if (closed.manifest != commit.manifest || closed.manifest != secrets.manifest) {
    refuse(errors::state_differs, "the closing record is of another manifest", path,
           closed.manifest.hex(), commit.manifest.hex());
  }
  const auto& all = secrets.participants;
  if (!std::ranges::includes(all, closed.survivors)) {
    refuse(errors::state_differs, "a survivor is no participant", path,
           std::to_string(closed.survivors.size()) + " survivors",
           "some of " + std::to_string(all.size()) + " participants");
  }
}

/// Reads and verifies block i of the slice. The whole slice is read once before anything is
/// changed, so that bad bytes leave the state as it was.
void read_block(const ExchangeJob& job, const OuterState& state, std::size_t i, File& file,
                ByteView leaves, std::uint64_t limit, Bytes& sums) {
  const exact::Lane lane = job.terms.quantiser_of(job.exchange.round).lane;
  const std::uint64_t index = state.block_index(i).value();
  const std::uint64_t first = index << static_cast<unsigned>(job.terms.block_log2);
  sums.resize(state.block_elements(i) * exact::lane_bytes(lane));
  file.read_at(first * exact::lane_bytes(lane), sums);
  const Digest expected = digest_from(leaves.subspan(index * 32, 32), "aggregate leaves");
  const Digest found = border::block_leaf({border::BlockVector::update, index}, sums);
  if (found != expected) {
    refuse(errors::block_digest, "block " + std::to_string(index) + " is not what was signed",
           job.folder.aggregate_blocks(job.exchange), found.hex(), expected.hex());
  }
  exact::check_range(lane, sums, limit, first);
}

ClosedRecord share_closed(const ExchangeJob& job) {
  Bytes text;
  comm::agreed(job.comm, [&] {
    if (job.comm.rank() != 0) return;
    const std::string record = encode_closed(job.exchange, *job.folder.read_closed(job.exchange));
    text.assign(record.begin(), record.end());
  });
  job.comm.broadcast_bytes(text, 0);
  return decode_closed(job.exchange, to_string(text), "CLOSED");
}

/// The outer step from the aggregate in the inbox. `own`: whether this site's update is in it.
void take_step(const ExchangeJob& job, OuterState& state, const RoundInputs& inputs,
               const ClosedRecord& closed, std::size_t num_blocks, bool own) {
  Bytes leaves;
  comm::agreed(job.comm, [&] {
    if (job.comm.rank() == 0) leaves = read_leaves(job, closed, num_blocks);
  });
  job.comm.broadcast_bytes(leaves, 0);
  const auto survivors = static_cast<std::uint32_t>(closed.survivors.size());
  const RoundClosing closing{
      .weight = {.survivors = survivors, .cap = job.terms.weight_cap, .total = closed.total_weight},
      .listed = own};
  const std::uint64_t limit =
      exact::max_sum(survivors, job.terms.quantiser_of(job.exchange.round).bits);
  std::unique_ptr<File> file;
  Bytes sums;
  comm::agreed(job.comm, [&] {
    file = job.folder.files().open(job.folder.aggregate_blocks(job.exchange), OpenMode::read);
    for (std::size_t i = 0; i < state.num_blocks(); ++i) {
      read_block(job, state, i, *file, leaves, limit, sums);
    }
  });
  kill_point("ranks.aggregate_verified");
  BlockScratch scratch;
  comm::agreed(job.comm, [&] {
    for (std::size_t i = 0; i < state.num_blocks(); ++i) {
      read_block(job, state, i, *file, leaves, limit, sums);
      state.apply_block(job.exchange.round, i, closing, inputs, scratch, sums);
    }
  });
}

}  // namespace

bool was_missed(const ExchangeJob& job) {
  Bytes missed{0};
  comm::agreed(job.comm, [&] {
    if (job.comm.rank() != 0 || !job.folder.has_closed(job.exchange)) return;
    missed[0] = job.folder.read_closed(job.exchange)->took_part ? 0 : 1;
  });
  job.comm.broadcast_bytes(missed, 0);
  return missed[0] != 0;
}

void apply_missed(const ExchangeJob& job, OuterState& state, std::span<float> theta,
                  const Digest& state_digest) {
  const ClosedRecord closed = share_closed(job);
  comm::agreed(job.comm, [&] { check_state(job, closed, state_digest); });
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(job.terms.block_log2);
  const crypto::SecretBytes no_key;
  const RoundInputs inputs{.rounding_key = no_key, .weight = {}, .theta = theta};
  take_step(job, state, inputs, closed, (job.num_elements + length - 1) / length, false);
}

void apply_closing(const ExchangeJob& job, OuterState& state, const RoundInputs& inputs,
                   const RankSecrets& secrets, const CommitRecord& commit) {
  const ClosedRecord closed = share_closed(job);
  comm::agreed(job.comm, [&] {
    check_closed(job, closed, secrets, commit);
    check_state(job, closed, commit.state_digest);
  });
  take_step(job, state, inputs, closed, commit.leaves.size(),
            std::ranges::binary_search(closed.survivors, secrets.own));
}

}  // namespace concordat::site
