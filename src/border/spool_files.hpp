// The files of a spool: their names, and the seal around what they carry.
// docs/formats/spool-road.md.
#pragma once

#include <compare>
#include <map>
#include <set>

#include "border/road_protocol.hpp"
#include "concordat/core/clock.hpp"
#include "concordat/core/file.hpp"
#include "concordat/crypto/random.hpp"

namespace concordat::border {

enum class SpoolKind : std::uint8_t {
  request = 1,  ///< up: requests of which at least one has an answer
  answer = 2,   ///< down: a part of the answers to one request file
  message = 3,  ///< down: a message that nobody asked for
  blocks = 4,   ///< up: blocks whose flush comes in a request
  note = 5,     ///< up: acknowledgements, a goodbye, or no more than that a border came
};

/// A record besides the requests of the tls road.
enum class SpoolNote : std::uint8_t { goodbye = 33 };

/// `KIND-SERIES-NUMBER.spool`, an answer's `answer-SERIES-NUMBER-PART.spool`. Of a site's files the
/// series is one road's; of messages it is the time at which the coordinator began.
struct SpoolName {
  SpoolKind kind{};
  std::uint64_t series = 0;
  std::uint32_t number = 0;
  std::uint32_t part = 0;
  std::string text() const;
  auto operator<=>(const SpoolName&) const = default;
};
/// nullopt for every other name, half-written files among them.
std::optional<SpoolName> spool_name_from(std::string_view text);

/// Blocks are gathered in one file until it has this many bytes.
inline constexpr std::uint64_t spool_bundle_bytes = 1U << 20U;
inline constexpr std::uint64_t blocks_per_spool_request = 512;
/// A full bundle but one byte, the longest request or answer, heads and seal.
std::uint64_t max_spool_file_bytes();

/// One end of a spool: who seals and opens here, and who is at the other end.
class SpoolSeal {
 public:
  SpoolSeal(const Identity& me, const crypto::SigningKey& tls, const PeerDirectory& peers,
            SiteId other)
      : me_(me), tls_(tls), peers_(peers), other_(other) {}

  Bytes seal(const SpoolName& name, ByteView body,
             crypto::SecureRandom& random = crypto::system_random()) const;
  /// nullopt: the file ends early, as one does that is still being copied.
  /// @throws Error(not_authentic) for a file of another party, federation or name, or that was
  /// changed.
  std::optional<Bytes> open(const SpoolName& name, ByteView wire) const;

 private:
  Bytes head_of(const SpoolName& name, SiteId from, SiteId to) const;
  std::string describe(ByteView wire) const;
  const Identity& me_;
  const crypto::SigningKey& tls_;
  const PeerDirectory& peers_;
  SiteId other_;
};

/// One folder of a spool. One writer at a time.
class SpoolWay {
 public:
  SpoolWay(FileSystem& files, FileSystem::Path folder);
  /// Whole or not at all, durably. What a kill or a full disk leaves half written is one file at
  /// most, which the next call overwrites.
  void put(const SpoolName& name, ByteView wire);
  bool has(const SpoolName& name) { return files_.exists(folder_ / name.text()); }
  /// nullopt: it is gone. @throws Error(malformed) if it is longer than any file of a spool.
  std::optional<Bytes> read(const SpoolName& name);
  /// nullopt: it is gone.
  std::optional<std::uint64_t> bytes_of(const SpoolName& name);
  void remove(const SpoolName& name);
  /// What nobody needs; a directory of that name, say, stays where it is.
  void tidy(const SpoolName& name) noexcept;
  std::vector<SpoolName> list();
  const FileSystem::Path& folder() const { return folder_; }

 private:
  void give_up(const FileSystem::Path& path) noexcept;
  FileSystem& files_;
  FileSystem::Path folder_;
};

/// What comes in through a folder. What cannot be opened stays where it is, is named once, and is
/// not read again before it has another size or some time went by. Nor can what is not whole yet,
/// which is named when it has not grown for long.
class SpoolInbox {
 public:
  /// `whose` begins what is said.
  SpoolInbox(SpoolWay& way, const SpoolSeal& seal, Clock& clock, std::string whose)
      : way_(way), seal_(seal), clock_(clock), whose_(std::move(whose)) {}
  std::vector<SpoolName> list();
  /// nullopt: it is gone, or left for now.
  std::optional<std::uint64_t> size_of(const SpoolName& name);
  /// nullopt: it is gone, or left for now: not whole yet, or none of ours.
  std::optional<Bytes> open(const SpoolName& name, std::uint64_t size);
  void leave(const SpoolName& name, std::uint64_t size, const Error& why);

 private:
  /// Once for each file, and not for ever.
  void complain(const SpoolName& name, const Error& why);
  void await_rest(const SpoolName& name, std::uint64_t size);
  struct Left {
    std::uint64_t size = 0;
    std::chrono::nanoseconds at{};     ///< when it was last read
    std::chrono::nanoseconds since{};  ///< when it was first seen with this size
  };
  SpoolWay& way_;
  const SpoolSeal& seal_;
  Clock& clock_;
  std::string whose_;
  std::map<SpoolName, Left> left_;
  std::set<SpoolName> complaints_;
};

/// A request or an answer, in the bytes that the tls road has for it.
struct SpoolRecord {
  std::uint8_t kind = 0;
  ByteView payload{};
};
void append_record(Bytes& body, const SpoolRecord& record);
/// @throws Error(malformed) where the body ends inside a record.
SpoolRecord take_record(ByteReader& in);

}  // namespace concordat::border
