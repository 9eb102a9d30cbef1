#include "site/ranks_upload.hpp"

#include "concordat/border/frames.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/parallel/state_digest.hpp"
#include "concordat/site/errors.hpp"
#include "site/device_blocks.hpp"

namespace concordat::site {

namespace {

/// Creates `path` with what `fill` writes: under another name first, so that a reader never sees a
/// part of it.
template <typename Fill>
void create_file(FileSystem& fs, const FileSystem::Path& path, Fill fill) {
  FileSystem::Path temporary = path;
  temporary += ".tmp";
  const std::unique_ptr<File> file = fs.open(temporary, OpenMode::create_exclusive);
  fill(*file);
  file->sync();
  fs.rename(temporary, path);
}

privacy::MaskContext context_of(const ExchangeJob& job, const RankSecrets& secrets) {
  return {secrets.federation, job.exchange, secrets.manifest, secrets.own};
}

std::vector<Digest> write_update(const ExchangeJob& job, const OuterState& state,
                                 const RoundInputs& inputs, const RankSecrets& secrets,
                                 const std::string& try_nonce) {
  const exact::Lane lane = job.terms.quantiser_of(job.exchange.round).lane;
  const privacy::MaskContext context = context_of(job, secrets);
  BlockScratch scratch;
  std::optional<DeviceBlocks> device;
  if (job.quantises != nullptr && state.num_blocks() > 0) {
    device.emplace(*job.quantises, std::int64_t{1} << static_cast<unsigned>(job.terms.block_log2),
                   lane);
  }
  std::vector<Digest> leaves;
  create_file(
      job.folder.files(), job.folder.blocks_file(job.exchange, try_nonce, job.comm.rank()),
      [&](File& file) {
        for (std::size_t i = 0; i < state.num_blocks(); ++i) {
          const BlockIndex index = state.block_index(i);
          scratch.codes.assign(state.block_elements(i) * exact::lane_bytes(lane), 0);
          const auto add_masks = [&] {
            privacy::mask_block(context, secrets.seeds, privacy::update_vector, index, lane,
                                scratch.codes);
          };
          if (device) {
            add_masks();
            state.mask_block_on(*device, job.exchange.round, i, inputs, scratch, scratch.codes);
          } else {
            state.quantise_block(job.exchange.round, i, inputs, scratch, scratch.codes, {});
            add_masks();
          }
          leaves.push_back(
              border::block_leaf({border::BlockVector::update, index.value()}, scratch.codes));
          file.write(scratch.codes);
        }
      });
  return leaves;
}

Digest write_weight(const ExchangeJob& job, const RoundInputs& inputs, const RankSecrets& secrets,
                    const std::string& try_nonce) {
  ByteWriter lane;
  lane.u32(inputs.weight.tokens);
  Bytes masked = std::move(lane).bytes();
  privacy::mask_block(context_of(job, secrets), secrets.seeds, privacy::weight_vector,
                      BlockIndex{0}, exact::Lane::u32, masked);
  create_file(job.folder.files(), job.folder.weight_file(job.exchange, try_nonce),
              [&](File& file) { file.write(masked); });
  return border::block_leaf({border::BlockVector::weight, 0}, masked);
}

void check_secrets(const ExchangeJob& job, const RankSecrets& secrets) {
  const auto n = static_cast<std::uint32_t>(secrets.participants.size());
  if (secrets.seeds.size() + 1 != n || n < 2) {
    throw Error(errors::already_committed,
                {.what = "the border gave no pair seeds for this exchange",
                 .where = "exchange " + job.exchange.text(),
                 .found = std::to_string(secrets.seeds.size()) + " seeds, " + std::to_string(n) +
                          " participants, no COMMIT in the outbox",
                 .expected = "one seed per other participant",
                 .remedy = "the border holds this exchange committed but its COMMIT file is gone; "
                           "restore the run folder's outbox"});
  }
  const exact::Quantiser& q = job.terms.quantiser_of(job.exchange.round);
  exact::check_lane(n, q.bits, q.lane);
  exact::check_weight_cap(n, job.terms.weight_cap);
}

std::vector<BlockRange> ranges_of(const ExchangeJob& job) {
  const std::uint64_t length = std::uint64_t{1} << static_cast<unsigned>(job.terms.block_log2);
  const auto num_blocks = static_cast<std::int64_t>((job.num_elements + length - 1) / length);
  std::vector<BlockRange> ranges;
  for (int rank = 0; rank < job.comm.size(); ++rank) {
    const parallel::BlockRange range = parallel::slice_of(rank, job.comm.size(), num_blocks);
    ranges.push_back(
        {static_cast<std::uint64_t>(range.begin), static_cast<std::uint64_t>(range.end)});
  }
  return ranges;
}

/// A fresh, empty try, the same for all ranks; what earlier jobs left is removed.
std::string open_try(const ExchangeJob& job, crypto::SecureRandom& random) {
  Bytes nonce;
  comm::agreed(job.comm, [&] {
    if (job.comm.rank() != 0) return;
    job.folder.remove_tries(job.exchange);
    const std::string text = make_nonce(random);
    job.folder.files().make_directories(job.folder.try_folder(job.exchange, text));
    nonce.assign(text.begin(), text.end());
  });
  job.comm.broadcast_bytes(nonce, 0);
  return to_string(nonce);
}

}  // namespace

CommitRecord upload(const ExchangeJob& job, const OuterState& state, const RoundInputs& inputs,
                    const RankSecrets& secrets, const Digest& state_digest,
                    const std::string& generation, crypto::SecureRandom& random) {
  comm::agreed(job.comm, [&] { check_secrets(job, secrets); });
  CommitRecord record{.try_nonce = open_try(job, random),
                      .manifest = secrets.manifest,
                      .state_digest = state_digest,
                      .lane = job.terms.quantiser_of(job.exchange.round).lane,
                      .block_log2 = job.terms.block_log2,
                      .num_elements = job.num_elements,
                      .generation = generation,
                      .ranges = ranges_of(job),
                      .leaves = {},
                      .weight_leaf = {}};
  std::vector<Digest> mine;
  comm::agreed(job.comm, [&] {
    mine = write_update(job, state, inputs, secrets, record.try_nonce);
    if (job.comm.rank() == 0) {
      record.weight_leaf = write_weight(job, inputs, secrets, record.try_nonce);
    }
    kill_point("ranks.blocks_written");
    job.folder.files().sync_directory(job.folder.try_folder(job.exchange, record.try_nonce));
  });
  record.leaves = parallel::gather_leaves(job.comm, mine);
  comm::agreed(job.comm, [&] {
    if (job.comm.rank() != 0) return;
    kill_point("ranks.before_commit");
    job.folder.files().sync_directory(job.folder.outbox(job.exchange));
    job.folder.write_commit(job.exchange, record);
    kill_point("ranks.committed");
  });
  return record;
}

}  // namespace concordat::site
