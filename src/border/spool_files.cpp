#include "border/spool_files.hpp"

#include <algorithm>
#include <charconv>

#include "concordat/border/errors.hpp"
#include "concordat/core/log.hpp"
#include "concordat/crypto/dsse.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/crypto/hpke.hpp"

namespace concordat::border {
namespace {

constexpr std::string_view magic = "concordat-spool-1\n";
constexpr std::string_view pae_type = "application/vnd.concordat.spool.v1";
constexpr std::string_view suffix = ".spool";
constexpr std::string_view half_written = ".half";
constexpr std::size_t series_digits = 16;
constexpr std::size_t number_digits = 8;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t signature_bytes = 64;
constexpr std::uint64_t max_head_bytes = 512;
// A spool full of rubbish must neither fill the log nor be read through at every look.
constexpr std::size_t max_complaints = 64;
constexpr std::chrono::seconds read_again{30};
// Of a file that is not whole: after so long without a byte more nobody is copying it.
constexpr std::chrono::minutes stands_still{10};

std::string_view text_of(SpoolKind kind) {
  switch (kind) {
    case SpoolKind::request:
      return "request";
    case SpoolKind::answer:
      return "answer";
    case SpoolKind::message:
      return "message";
    case SpoolKind::blocks:
      return "blocks";
    case SpoolKind::note:
      return "note";
  }
  return "";
}

std::string hex_text(std::uint64_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t at = digits; at-- > 0; value >>= 4U) text[at] = "0123456789abcdef"[value & 15U];
  return text;
}

/// Takes `-` and exactly so many lower-case hexadecimal digits off the front.
template <typename Number>
bool take_hex(std::string_view& text, std::size_t digits, Number& value) {
  if (text.size() < digits + 1 || text[0] != '-') return false;
  const std::string_view field = text.substr(1, digits);
  if (field.find_first_not_of("0123456789abcdef") != std::string_view::npos) return false;
  std::from_chars(field.data(), field.data() + field.size(), value, 16);
  text.remove_prefix(digits + 1);
  return true;
}

[[noreturn]] void not_authentic(const SpoolName& name, std::string what, std::string found,
                                std::string expected) {
  throw Error(errors::not_authentic,
              {.what = std::move(what),
               .where = name.text(),
               .found = std::move(found),
               .expected = std::move(expected),
               .remedy = "check that the mover keeps each site's spool apart and changes nothing"});
}

}  // namespace

std::string SpoolName::text() const {
  std::string out(text_of(kind));
  out += "-" + hex_text(series, series_digits) + "-" + hex_text(number, number_digits);
  if (kind == SpoolKind::answer) out += "-" + hex_text(part, number_digits);
  return out + std::string(suffix);
}

std::optional<SpoolName> spool_name_from(std::string_view text) {
  for (SpoolKind kind : {SpoolKind::request, SpoolKind::answer, SpoolKind::message,
                         SpoolKind::blocks, SpoolKind::note}) {
    const std::string_view prefix = text_of(kind);
    if (!text.starts_with(prefix)) continue;
    std::string_view rest = text.substr(prefix.size());
    SpoolName name{.kind = kind};
    if (!take_hex(rest, series_digits, name.series)) continue;
    if (!take_hex(rest, number_digits, name.number)) continue;
    if (kind == SpoolKind::answer && !take_hex(rest, number_digits, name.part)) continue;
    if (rest == suffix) return name;
  }
  return std::nullopt;
}

std::uint64_t max_spool_file_bytes() {
  return max_head_bytes + digest_bytes + signature_bytes + crypto::hpke_overhead_bytes +
         spool_bundle_bytes + 2 * frame_head_bytes + answer_bound();
}

// magic, federation, from, to, name, then length and digest of what is sealed.
Bytes SpoolSeal::head_of(const SpoolName& name, SiteId from, SiteId to) const {
  ByteWriter out;
  out.raw(as_bytes(magic));
  out.digest(peers_.federation());
  out.u32(from.value());
  out.u32(to.value());
  out.sized(name.text());
  return std::move(out).bytes();
}

Bytes SpoolSeal::seal(const SpoolName& name, ByteView body, crypto::SecureRandom& random) const {
  const Bytes head = head_of(name, me_.id, other_);
  const Bytes sealed = crypto::hpke_seal(peers_.at(other_).seal, head, {}, body, random);
  ByteWriter out;
  out.raw(head);
  out.u64(sealed.size());
  out.digest(crypto::sha256(sealed));
  const crypto::Signature signature = tls_.sign(crypto::dsse_pae(pae_type, out.bytes()));
  out.raw(signature);
  out.raw(sealed);
  return std::move(out).bytes();
}

std::optional<Bytes> SpoolSeal::open(const SpoolName& name, ByteView wire) const {
  const Bytes head = head_of(name, other_, me_.id);
  const std::size_t signed_bytes = head.size() + sizeof(std::uint64_t) + digest_bytes;
  if (wire.size() < signed_bytes + signature_bytes) return std::nullopt;
  if (!std::ranges::equal(wire.first(head.size()), head)) {
    not_authentic(name, "a file of another spool", describe(wire),
                  border::text_of(other_) + " to " + border::text_of(me_.id));
  }
  ByteReader in(wire.subspan(head.size()), "spool file");
  const std::uint64_t length = in.u64();
  const Digest digest = in.digest();
  const crypto::Signature signature = crypto::signature_from(in.raw(signature_bytes), "spool file");
  if (!crypto::verify(peers_.at(other_).tls, crypto::dsse_pae(pae_type, wire.first(signed_bytes)),
                      signature)) {
    not_authentic(name, "the signature of a spool file does not verify", "another signature",
                  "that of " + border::text_of(other_) + "'s key for roads");
  }
  // What follows is as long as was signed, or is still on its way.
  if (in.left() < length) return std::nullopt;
  const ByteView sealed = in.raw(in.left());
  if (sealed.size() != length || crypto::sha256(sealed) != digest) {
    not_authentic(name, "a spool file is not as it was signed",
                  std::to_string(sealed.size()) + " bytes, " + crypto::sha256(sealed).hex(),
                  std::to_string(length) + " bytes, " + digest.hex());
  }
  return crypto::hpke_open(me_.sealing, head, {}, sealed);
}

// Of a head that is not the expected one, what a person can act on.
std::string SpoolSeal::describe(ByteView wire) const {
  if (!std::ranges::equal(wire.first(magic.size()), as_bytes(magic))) return "no spool file";
  ByteReader in(wire.subspan(magic.size()), "spool file");
  if (in.digest() != peers_.federation()) return "a file of another federation";
  const SiteId from(in.u32());
  const SiteId to(in.u32());
  const std::string text = border::text_of(from) + " to " + border::text_of(to);
  return from == other_ && to == me_.id ? text + ", under another name" : text;
}

SpoolWay::SpoolWay(FileSystem& files, FileSystem::Path folder)
    : files_(files), folder_(std::move(folder)) {
  files_.make_directories(folder_);
}

void SpoolWay::put(const SpoolName& name, ByteView wire) {
  const FileSystem::Path half = folder_ / half_written;
  files_.remove(half);
  try {
    auto file = files_.open(half, OpenMode::create_exclusive);
    file->write(wire);
    file->sync();
  } catch (const Error&) {
    give_up(half);  // room for others on a full disk
    throw;
  }
  files_.rename(half, folder_ / name.text());
  files_.sync_directory(folder_);
}

void SpoolWay::give_up(const FileSystem::Path& path) noexcept {
  try {
    files_.remove(path);
  } catch (const std::exception& error) {
    log::debug(std::string("left in the spool: ") + error.what());
  }
}

void SpoolWay::tidy(const SpoolName& name) noexcept { give_up(folder_ / name.text()); }

std::optional<Bytes> SpoolWay::read(const SpoolName& name) {
  try {
    return read_file(files_, folder_ / name.text(), max_spool_file_bytes());
  } catch (const Error& error) {
    if (error.code() == concordat::errors::not_found) return std::nullopt;
    throw;
  }
}

std::optional<std::uint64_t> SpoolWay::bytes_of(const SpoolName& name) {
  try {
    return files_.file_size(folder_ / name.text());
  } catch (const Error& error) {
    if (error.code() == concordat::errors::not_found) return std::nullopt;
    throw;
  }
}

void SpoolWay::remove(const SpoolName& name) { files_.remove(folder_ / name.text()); }

std::vector<SpoolName> SpoolWay::list() {
  std::vector<SpoolName> names;
  for (const std::string& text : files_.list(folder_)) {
    if (auto name = spool_name_from(text)) names.push_back(*name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<SpoolName> SpoolInbox::list() {
  std::vector<SpoolName> names = way_.list();
  std::erase_if(left_,
                [&](const auto& left) { return !std::ranges::binary_search(names, left.first); });
  return names;
}

std::optional<std::uint64_t> SpoolInbox::size_of(const SpoolName& name) {
  const auto size = way_.bytes_of(name);
  const auto left = left_.find(name);
  if (!size || left == left_.end()) return size;
  const bool same = left->second.size == *size;
  if (same && clock_.monotonic() - left->second.at < read_again) return std::nullopt;
  return size;
}

std::optional<Bytes> SpoolInbox::open(const SpoolName& name, std::uint64_t size) {
  try {
    const auto wire = way_.read(name);
    if (!wire) return std::nullopt;
    auto body = seal_.open(name, *wire);
    if (body) {
      left_.erase(name);
    } else {
      await_rest(name, wire->size());
    }
    return body;
  } catch (const Error& error) {
    leave(name, size, error);
    return std::nullopt;
  }
}

void SpoolInbox::await_rest(const SpoolName& name, std::uint64_t size) {
  const auto now = clock_.monotonic();
  const auto before = left_.find(name);
  const bool same = before != left_.end() && before->second.size == size;
  const auto since = same ? before->second.since : now;
  left_[name] = {.size = size, .at = now, .since = since};
  if (now - since < stands_still) return;
  complain(name, Error(concordat::errors::malformed,
                       {.what = "a file in the spool is not whole and does not grow",
                        .where = (way_.folder() / name.text()).string(),
                        .found = std::to_string(size) + " bytes for ten minutes and more",
                        .expected = "as many as its sender signed",
                        .remedy = "have the mover copy it again; it is taken when it is whole"}));
}

void SpoolInbox::leave(const SpoolName& name, std::uint64_t size, const Error& why) {
  const auto now = clock_.monotonic();
  left_[name] = {.size = size, .at = now, .since = now};
  complain(name, why);
}

void SpoolInbox::complain(const SpoolName& name, const Error& why) {
  if (complaints_.size() >= max_complaints || !complaints_.insert(name).second) return;
  log::warn(whose_ + ": " + why.what());
  if (complaints_.size() == max_complaints) {
    log::warn(whose_ + ": nothing more is said about files that are left where they are");
  }
}

void append_record(Bytes& body, const SpoolRecord& record) {
  const Bytes head = frame_head(record.kind, record.payload.size());
  body.insert(body.end(), head.begin(), head.end());
  body.insert(body.end(), record.payload.begin(), record.payload.end());
}

SpoolRecord take_record(ByteReader& in) {
  const std::uint8_t kind = in.u8();
  return {kind, in.sized(in.left())};
}

}  // namespace concordat::border
