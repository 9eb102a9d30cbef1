// StateImport: a donor's state on its way into the run folder, checked block by block.
//
//   StateImport import(folder, shape, closed, terms);
//   import.begin({exchange, donor, serial}, closed, contents_body);  // against manifest and
//   closing import.take(closed, position, bytes);                            // next() only;
//   durable if (import.complete()) ...                                       // with the last
//
// RUN/import/ holds the vectors of the state digest as plain files, `contents`, `progress` and,
// when everything is there, IMPORTED; the sum goes into the inbox with a CLOSED that needs no
// secrets, so the ranks take the exchange's outer step themselves. A restart goes on where it was.
// Memory: one block. Threads: one.
#pragma once

#include <memory>
#include <optional>

#include "site/border_download.hpp"
#include "site/donated_state.hpp"
#include "site/run_folder.hpp"

namespace concordat::site {

/// Which donation is being taken.
struct DonationId {
  ExchangeId exchange{};
  SiteId from{};
  std::uint32_t serial = 0;
  bool operator==(const DonationId&) const = default;
};

/// import/IMPORTED: the state of an exchange is here, whole and checked.
struct ImportedRecord {
  ExchangeId exchange{};
  Digest state{};
  SiteId from{};
};

FileSystem::Path import_folder(const FileSystem::Path& run_folder);
/// One vector of the state: import/model.f32, m.f32, v.f32, scales.f32.
FileSystem::Path import_vector(const FileSystem::Path& run_folder, const std::string& vector);
/// Removes the folder; a kill in between leaves nothing that looks whole.
void remove_import(FileSystem& fs, const FileSystem::Path& run_folder);
/// @throws Error(site.bad_run_file).
std::optional<ImportedRecord> read_imported(FileSystem& fs, const FileSystem::Path& run_folder);

class StateImport {
 public:
  /// Finds what an earlier process took.
  StateImport(RunFolder& folder, const federation::SignedRoster& roster,
              const federation::SignedAgreement& agreement);
  const std::optional<DonationId>& donation() const { return donation_; }
  /// The position that comes next; 0: nothing has come.
  std::uint32_t next() const { return next_; }
  bool complete() const { return complete_; }

  /// What begin() and take() would refuse, before the ledger says that it came.
  void check(const ClosedExchange& closed, std::uint32_t position, ByteView bytes) const;
  /// Puts aside what another donation brought. @throws Error(site.state_refused | malformed).
  void begin(const DonationId& donation, const ClosedExchange& closed, ByteView contents);
  /// @pre position == next() > 0. @throws Error(site.state_refused).
  void take(const ClosedExchange& closed, std::uint32_t position, ByteView bytes);

 private:
  void save_progress();
  void finish(const ClosedExchange& closed);
  AggregateFile& sums(const ClosedExchange& closed);

  RunFolder& folder_;
  const federation::SignedRoster& roster_;
  const federation::SignedAgreement& agreement_;
  std::optional<DonationId> donation_;
  std::optional<StateContents> contents_;
  std::unique_ptr<AggregateFile> sums_;
  std::uint32_t next_ = 0;
  bool complete_ = false;
};

}  // namespace concordat::site
