// Where the files of the coordinator lie; format in docs/formats/coordinator-folder.md.
#pragma once

#include <vector>

#include "concordat/core/file.hpp"
#include "concordat/core/ids.hpp"

namespace concordat::coordinator {

class CoordinatorFolder {
 public:
  /// Makes the folders. @throws Error(open_permissions) if others may write in an existing root.
  CoordinatorFolder(FileSystem& fs, const FileSystem::Path& root);

  FileSystem& files() const { return fs_; }
  const FileSystem::Path& root() const { return root_; }
  FileSystem::Path ledger() const { return root_ / "ledger"; }
  FileSystem::Path receipts() const { return root_ / "journal" / "receipts"; }
  FileSystem::Path reached() const { return root_ / "journal" / "reached"; }
  FileSystem::Path secrets() const { return root_ / "journal" / "secrets"; }
  FileSystem::Path spill() const { return root_ / "spill"; }
  FileSystem::Path status() const { return root_ / "status.json"; }
  FileSystem::Path lock() const { return root_ / "coordinator.lock"; }

  FileSystem::Path journal(const ExchangeId& exchange) const;
  FileSystem::Path exchange(const ExchangeId& exchange) const;
  FileSystem::Path header(const ExchangeId& exchange, SiteId site) const;
  FileSystem::Path upload(const ExchangeId& exchange, SiteId site) const;
  FileSystem::Path sum(const ExchangeId& exchange) const;
  FileSystem::Path tree(const ExchangeId& exchange) const;

  /// Exchanges that have a journal, ascending.
  std::vector<ExchangeId> journalled() const;
  /// Unlinks single uploads and headers; the aggregate stays. Idempotent.
  void erase_uploads(const ExchangeId& exchange) const;
  /// Unlinks the aggregates of rounds before `oldest`.
  void erase_aggregates_before(Round oldest) const;

 private:
  FileSystem& fs_;
  FileSystem::Path root_;
};

}  // namespace concordat::coordinator
