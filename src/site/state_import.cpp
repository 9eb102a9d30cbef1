#include "site/state_import.hpp"

#include <numeric>

#include "concordat/core/error.hpp"
#include "concordat/core/kill_point.hpp"
#include "concordat/ledger/entries.hpp"
#include "concordat/site/errors.hpp"
#include "site/text_record.hpp"

namespace concordat::site {
namespace {

constexpr std::string_view progress_title = "concordat import 1";
constexpr std::string_view imported_title = "concordat imported 1";

ExchangeId read_exchange(TextRecord& in, const std::string& where) {
  return ledger::exchange_from(in.text("exchange"), where);
}

}  // namespace

FileSystem::Path import_folder(const FileSystem::Path& run_folder) { return run_folder / "import"; }

FileSystem::Path import_vector(const FileSystem::Path& run_folder, const std::string& vector) {
  return import_folder(run_folder) / (vector + ".f32");
}

void remove_import(FileSystem& fs, const FileSystem::Path& run_folder) {
  const FileSystem::Path folder = import_folder(run_folder);
  // In this order: what a kill leaves half removed says neither that it is whole nor how far it is.
  for (const char* name : {"IMPORTED", "progress"}) {
    fs.remove(folder / name);
  }
  fs.remove_all(folder);
}

std::optional<ImportedRecord> read_imported(FileSystem& fs, const FileSystem::Path& run_folder) {
  const FileSystem::Path path = import_folder(run_folder) / "IMPORTED";
  if (!fs.exists(path)) return std::nullopt;
  TextRecord in(read_text(fs, path), imported_title, path.string());
  ImportedRecord record;
  record.exchange = read_exchange(in, path.string());
  record.state = in.digest("state_digest");
  record.from = SiteId{static_cast<std::uint32_t>(in.number("from", 0xffff'fffeU))};
  in.finish();
  return record;
}

StateImport::StateImport(RunFolder& folder, const federation::SignedRoster& roster,
                         const federation::SignedAgreement& agreement)
    : folder_(folder), roster_(roster), agreement_(agreement) {
  FileSystem& fs = folder_.files();
  complete_ = read_imported(fs, folder_.root()).has_value();
  const FileSystem::Path path = import_folder(folder_.root()) / "progress";
  const FileSystem::Path contents = import_folder(folder_.root()) / "contents";
  if (!fs.exists(path) || !fs.exists(contents)) return;
  TextRecord in(read_text(fs, path), progress_title, path.string());
  DonationId donation;
  donation.exchange = read_exchange(in, path.string());
  donation.from = SiteId{static_cast<std::uint32_t>(in.number("from", 0xffff'fffeU))};
  donation.serial = static_cast<std::uint32_t>(in.number("serial", 255));
  next_ = static_cast<std::uint32_t>(in.number("next", 0xffff'ffffU));
  in.finish();
  donation_ = donation;
  contents_ = decode_contents(read_file(fs, contents, border::max_body_bytes),
                              state_shape(agreement_.agreement, donation.exchange));
}

void StateImport::save_progress() {
  TextWriter out(progress_title);
  out.add("exchange", donation_->exchange.text());
  out.add("from", donation_->from.value());
  out.add("serial", donation_->serial);
  out.add("next", next_);
  write_atomically(folder_.files(), import_folder(folder_.root()) / "progress",
                   as_bytes(out.text()));
}

void StateImport::check(const ClosedExchange& closed, std::uint32_t position,
                        ByteView bytes) const {
  const StateShape shape = state_shape(agreement_.agreement, closed.exchange);
  if (position == 0) {
    check_contents(decode_contents(bytes, shape), shape, closed);
  } else {
    check_piece(*contents_, shape, position, bytes);
  }
}

void StateImport::begin(const DonationId& donation, const ClosedExchange& closed,
                        ByteView contents) {
  const StateShape shape = state_shape(agreement_.agreement, closed.exchange);
  StateContents decoded = decode_contents(contents, shape);
  check_contents(decoded, shape, closed);
  FileSystem& fs = folder_.files();
  remove_import(fs, folder_.root());
  // Nor is a sum trusted that an earlier donation left half-way.
  sums_.reset();
  if (!folder_.has_closed(closed.exchange)) {
    fs.remove(folder_.aggregate_blocks(closed.exchange));
    fs.remove(folder_.aggregate_weight(closed.exchange));
    fs.remove(folder_.aggregate_leaves(closed.exchange));
  }
  fs.make_directories(import_folder(folder_.root()));
  write_atomically(fs, import_folder(folder_.root()) / "contents", contents);
  donation_ = donation;
  contents_ = std::move(decoded);
  complete_ = false;
  next_ = 1;
  save_progress();
  kill_point("border.import_begun");
}

AggregateFile& StateImport::sums(const ClosedExchange& closed) {
  if (!sums_) {
    const federation::ExchangeTerms terms =
        federation::exchange_terms(roster_, agreement_, closed.exchange.round, {});
    // Behind what is known to be durable may lie a block that a power cut tore.
    const StateShape shape = state_shape(agreement_.agreement, closed.exchange);
    const std::uint64_t before = 1 + shape.vectors().size() * shape.num_blocks();
    sums_ =
        std::make_unique<AggregateFile>(folder_, terms, terms.table(closed.aggregate),
                                        closed.participants, next_ > before ? next_ - before : 0);
  }
  return *sums_;
}

void StateImport::take(const ClosedExchange& closed, std::uint32_t position, ByteView bytes) {
  CONCORDAT_REQUIRE(donation_ && position == next_ && position > 0, std::to_string(position));
  const StateShape shape = state_shape(agreement_.agreement, closed.exchange);
  check_piece(*contents_, shape, position, bytes);
  const StateShape::Piece piece = shape.piece(position);
  const std::vector<std::string> names = shape.vectors();
  FileSystem& fs = folder_.files();
  if (piece.vector == names.size()) {
    AggregateFile& file = sums(closed);
    const border::BlockPlace place{border::BlockVector::update, piece.block};
    file.put({place, contents_->sums[piece.block], Bytes(bytes.begin(), bytes.end())});
    fs.open(folder_.aggregate_blocks(closed.exchange), OpenMode::read_write)->sync();
  } else {
    const FileSystem::Path path = import_vector(folder_.root(), names[piece.vector]);
    const auto file =
        fs.open(path, fs.exists(path) ? OpenMode::read_write : OpenMode::create_exclusive);
    std::uint64_t first = piece.block << static_cast<unsigned>(shape.block_log2);
    if (piece.vector + 1 == names.size()) {
      const auto& scales = contents_->scales;
      first =
          std::accumulate(scales.begin(), scales.begin() + static_cast<std::ptrdiff_t>(piece.block),
                          std::uint64_t{0});
    }
    file->write_at(4 * first, bytes);
    file->sync();
  }
  if (position + 1 == shape.num_messages()) finish(closed);
  next_ = position + 1;
  save_progress();
  kill_point("border.import_piece");
}

void StateImport::finish(const ClosedExchange& closed) {
  AggregateFile& file = sums(closed);
  ByteWriter lane;
  lane.u32(contents_->total_weight);
  const border::BlockPlace place{border::BlockVector::weight, 0};
  const Digest leaf = border::block_leaf(place, lane.bytes());
  if (file.position() < contents_->sums.size()) {
    throw Error(errors::state_refused,
                {.what = "the sum on disk is not what was written",
                 .where = folder_.inbox(closed.exchange).string(),
                 .found = std::to_string(file.position()) + " whole blocks",
                 .expected = std::to_string(contents_->sums.size()),
                 .remedy = "check the disk, and have the state given again"});
  }
  if (file.position() == contents_->sums.size()) file.put({place, leaf, lane.bytes()});
  file.finish();
  sums_.reset();
  folder_.write_closed(closed.exchange, {.manifest = closed.manifest,
                                         .survivors = closed.survivors,
                                         .total_weight = closed.total_weight,
                                         .aggregate_root = closed.aggregate,
                                         .state_digest = closed.state,
                                         .took_part = false});
  kill_point("border.import_closed");
  // A job that began without the state has announced rounds that are over, and none begins before
  // the state is whole.
  for (const ExchangeId& stale : folder_.in_outbox()) {
    if (stale < closed.exchange) folder_.remove_exchange(stale);
  }
  TextWriter out(imported_title);
  out.add("exchange", closed.exchange.text());
  out.add("state_digest", closed.state.hex());
  out.add("from", donation_->from.value());
  write_atomically(folder_.files(), import_folder(folder_.root()) / "IMPORTED",
                   as_bytes(out.text()));
  complete_ = true;
}

}  // namespace concordat::site
