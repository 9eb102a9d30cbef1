#include "coordinator/exchange_files.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "concordat/crypto/key_files.hpp"

namespace concordat::coordinator {
namespace {

constexpr std::string_view journal_suffix = ".journal";

/// "3.0.0"; nullopt for other names, which are none of ours.
std::optional<ExchangeId> exchange_from(std::string_view text) {
  std::array<std::uint32_t, 3> parts{};
  const char* at = text.data();
  const char* end = at + text.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    auto [next, status] = std::from_chars(at, end, parts[i]);
    if (status != std::errc()) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return ExchangeId{Round(parts[0]), Fragment(parts[1]), Attempt(parts[2])};
}

std::string site_file(SiteId site, const char* suffix) {
  return "site-" + std::to_string(site.value()) + suffix;
}

}  // namespace

CoordinatorFolder::CoordinatorFolder(FileSystem& fs, const FileSystem::Path& root)
    : fs_(fs), root_(crypto::require_own_folder(fs, root)) {
  fs_.make_directories(root_ / "journal");
  fs_.make_directories(root_ / "exchanges");
  fs_.make_directories(spill());
}

FileSystem::Path CoordinatorFolder::journal(const ExchangeId& exchange) const {
  return root_ / "journal" / (exchange.text() + std::string(journal_suffix));
}

FileSystem::Path CoordinatorFolder::exchange(const ExchangeId& exchange) const {
  return root_ / "exchanges" / exchange.text();
}

FileSystem::Path CoordinatorFolder::header(const ExchangeId& exchange_id, SiteId site) const {
  return exchange(exchange_id) / site_file(site, ".header");
}

FileSystem::Path CoordinatorFolder::upload(const ExchangeId& exchange_id, SiteId site) const {
  return exchange(exchange_id) / site_file(site, ".upload");
}

FileSystem::Path CoordinatorFolder::sum(const ExchangeId& exchange_id) const {
  return exchange(exchange_id) / "aggregate.sum";
}

FileSystem::Path CoordinatorFolder::tree(const ExchangeId& exchange_id) const {
  return exchange(exchange_id) / "aggregate.tree";
}

std::vector<ExchangeId> CoordinatorFolder::journalled() const {
  std::vector<ExchangeId> exchanges;
  for (const std::string& name : fs_.list(root_ / "journal")) {
    if (!name.ends_with(journal_suffix)) continue;
    auto exchange =
        exchange_from(std::string_view(name).substr(0, name.size() - journal_suffix.size()));
    if (exchange) exchanges.push_back(*exchange);
  }
  std::sort(exchanges.begin(), exchanges.end());
  return exchanges;
}

void CoordinatorFolder::erase_uploads(const ExchangeId& exchange_id) const {
  for (const std::string& name : fs_.list(exchange(exchange_id))) {
    if (name.starts_with("site-")) fs_.remove(exchange(exchange_id) / name);
  }
}

void CoordinatorFolder::erase_aggregates_before(Round oldest) const {
  for (const std::string& name : fs_.list(root_ / "exchanges")) {
    auto exchange = exchange_from(name);
    if (exchange && exchange->round < oldest) fs_.remove_all(root_ / "exchanges" / name);
  }
}

}  // namespace concordat::coordinator
