// Rosters, agreements and manifests: strict parsing, all signatures, no edit after signing.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "unit/federation/world.hpp"

namespace concordat::federation::test {
namespace {

std::string replaced(const Bytes& document, const std::string& what, const std::string& with) {
  std::string text = to_string(document);
  std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

Bytes bytes_of(const std::string& text) {
  ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

TEST(Documents, RosterRoundTrip) {
  Roster roster = example_roster(3);
  EXPECT_EQ(parse_roster(encode(roster), "r"), roster);
  EXPECT_EQ(roster.id_of("blba"), SiteId{1});
  EXPECT_EQ(roster.id_of("hub"), coordinator_id);
  EXPECT_EQ(error_of([&] { roster.id_of("nobody"); }).code(), errors::not_in_roster);
  EXPECT_EQ(error_of([&] { roster.at(SiteId{3}); }).code(), errors::not_in_roster);
  SignedRoster opened = signed_roster(3);
  EXPECT_EQ(opened.digest, crypto::sha256(opened.document));
  border::PeerDirectory peers = make_directory(opened);
  EXPECT_EQ(peers.sites().size(), 3U);
  EXPECT_EQ(peers.find_verify(roster.coordinator.verify), coordinator_id);
}

// Rosters from before there was such a field keep their bytes, and with them every digest.
TEST(Documents, TheMpiRoadIsAllowedByTheRosterOrNotAtAll) {
  Roster roster = example_roster(3);
  EXPECT_FALSE(roster.allows_mpi_road());
  EXPECT_EQ(to_string(encode(roster)).find("roads"), std::string::npos);
  roster.roads = {"mpi"};
  Roster again = parse_roster(encode(roster), "r");
  EXPECT_EQ(again, roster);
  EXPECT_TRUE(again.allows_mpi_road());
  const std::vector<std::vector<std::string>> wrong{
      {"tls"}, {"mpi", "mpi"}, {"mpi", "tls"}, {"pigeon"}};
  for (const auto& roads : wrong) {
    roster.roads = roads;
    const ErrorCode code = error_of([&] { parse_roster(encode(roster), "r"); }).code();
    EXPECT_TRUE(code == errors::bad_roster || code == concordat::errors::malformed)
        << roads.front();
  }
  roster.roads = {"mpi"};
  const std::string allowed = to_string(encode(roster));
  const std::string empty =
      std::regex_replace(allowed, std::regex(R"("roads": \[[^\]]*\])"), R"("roads": [])");
  ASSERT_NE(allowed, empty);
  EXPECT_EQ(error_of([&] { parse_roster(bytes_of(empty), "r"); }).code(), errors::bad_roster);
}

TEST(Documents, AgreementRoundTripKeepsExactBits) {
  SignedRoster roster = signed_roster(3);
  RunAgreement agreement = example_agreement(roster);
  agreement.outer.eta = 0.1F;
  RunAgreement again = parse_agreement(encode(agreement), "a");
  EXPECT_EQ(again.outer, agreement.outer);
  EXPECT_EQ(again.scales, agreement.scales);
  EXPECT_EQ(again.settings, agreement.settings);
  EXPECT_EQ(real_from(again.setting("inner.rate"), "a"), 3e-3);
  EXPECT_EQ(encode(again), encode(agreement));
  EXPECT_EQ(agreement.num_blocks(), 3U);
  EXPECT_EQ(error_of([&] { agreement.setting("model.width"); }).code(), errors::bad_agreement);
}

TEST(Documents, RealsHaveOneForm) {
  for (double value : {0.0, 1.0, -0.1, 3e-3, 1e-300, 5e-324}) {
    EXPECT_EQ(real_from(real_text(value), "x"), value);
  }
  for (const char* text : {"0.1", "0x", "0x1.8p+1 ", "inf", "nan", "-", "", "0xinf", "1e3"}) {
    EXPECT_EQ(error_of([&] { real_from(text, "x"); }).code(), concordat::errors::malformed) << text;
  }
}

TEST(Documents, AnEditAfterSigningNamesDocumentAndSigner) {
  Roster roster = example_roster(3);
  Bytes document = encode(roster);
  Signatures signatures = sign_by_all(DocumentKind::roster, document, roster);
  Bytes edited = bytes_of(replaced(document, "hub.example.org", "hub.attacker.org"));
  Error error = error_of([&] { open_roster(edited, signatures, "roster.json"); });
  EXPECT_EQ(error.code(), errors::bad_signature);
  std::string text = error.what();
  EXPECT_NE(text.find("roster.json"), std::string::npos) << text;
  EXPECT_NE(text.find("edited after alba signed it"), std::string::npos) << text;

  SignedRoster opened = signed_roster(3);
  Bytes agreement = encode(example_agreement(opened));
  Signatures by_all = sign_by_all(DocumentKind::agreement, agreement, roster);
  Bytes more = bytes_of(replaced(agreement, "\"rounds\": 2", "\"rounds\": 3"));
  error = error_of([&] { open_agreement(more, by_all, opened, "agreement.json"); });
  EXPECT_EQ(error.code(), errors::bad_signature);
  EXPECT_NE(std::string(error.what()).find("run agreement"), std::string::npos);
}

TEST(Documents, EverySignatureIsNeededAndNoOther) {
  Roster roster = example_roster(3);
  Bytes document = encode(roster);
  Signatures good = sign_by_all(DocumentKind::roster, document, roster);
  auto refused = [&](const Signatures& signatures) {
    return error_of([&] { open_roster(document, signatures, "roster.json"); }).code() ==
           errors::bad_signature;
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    Signatures missing = good;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_TRUE(refused(missing)) << i;
    Signatures damaged = good;
    damaged[i].signature[7] ^= 1;
    EXPECT_TRUE(refused(damaged)) << i;
    Signatures doubled = good;
    doubled.push_back(good[i]);
    EXPECT_TRUE(refused(doubled)) << i;
  }
  Signatures other_key = good;
  other_key[0] = sign_document(DocumentKind::roster, document, "alba", signing(77));
  EXPECT_TRUE(refused(other_key));
  Signatures other_kind = good;
  other_kind[0] = sign_document(DocumentKind::agreement, document, "alba", signing(10));
  EXPECT_TRUE(refused(other_kind));
  Signatures stranger = good;
  stranger.push_back(sign_document(DocumentKind::roster, document, "mallory", signing(77)));
  EXPECT_TRUE(refused(stranger));
}

TEST(Documents, StrictJson) {
  Bytes document = encode(example_roster(3));
  auto refused = [&](const std::string& text) {
    return error_of([&] { parse_roster(bytes_of(text), "roster.json"); }).code();
  };
  using concordat::errors::malformed;
  EXPECT_EQ(refused(replaced(document, "\"version\"", "\"surprise\": 1, \"version\"")), malformed);
  EXPECT_EQ(refused(replaced(document, "\"version\": 1", "\"version\": 1, \"version\": 1")),
            malformed);
  EXPECT_EQ(refused(replaced(document, "\"address\"", "\"adress\"")), malformed);
  EXPECT_EQ(refused(replaced(document, "\"version\": 1", "\"version\": \"1\"")), malformed);
  EXPECT_EQ(refused(replaced(document, "\"version\": 1", "\"version\": -1")), malformed);
  EXPECT_EQ(refused(replaced(document, "three-seas", "three\\u0007seas")), malformed);
  EXPECT_EQ(refused(replaced(document, "\"version\": 1", "\"version\": 1e999")), malformed);
  EXPECT_EQ(refused(replaced(document, "three-seas", "three\xff\xfeseas")), malformed);
  EXPECT_EQ(refused("[]"), malformed);
  EXPECT_EQ(refused("{"), malformed);
  EXPECT_EQ(refused(""), malformed);
  EXPECT_EQ(refused(std::string(40, '[')), malformed);
  EXPECT_EQ(refused(to_string(document) + "x"), malformed);
  EXPECT_EQ(refused(std::string(max_document_bytes + 1, ' ')), malformed);
  EXPECT_EQ(refused(replaced(document, "\"version\": 1", "\"version\": 2")), errors::bad_roster);
}

// Each field costs the library a look at all before it: half a million would take hours.
TEST(Documents, AnObjectOfManyFieldsIsRefusedEarly) {
  const auto object_of = [](int fields) {
    std::string text = "{";
    for (int i = 0; i < fields; ++i) {
      text += (i == 0 ? "\"f" : ",\"f") + std::to_string(i) + "\":0";
    }
    return text + "}";
  };
  const auto refusal = [&](const std::string& text) {
    return std::string(error_of([&] { parse_roster(bytes_of(text), "roster.json"); }).what());
  };
  EXPECT_NE(refusal(object_of(513)).find("too many fields"), std::string::npos);
  EXPECT_NE(refusal(object_of(60'000)).find("too many fields"), std::string::npos);
  EXPECT_EQ(refusal(object_of(512)).find("too many fields"), std::string::npos);
}

TEST(Documents, ARosterThatContradictsItself) {
  auto refused = [](const Roster& roster) {
    return error_of([&] { parse_roster(encode(roster), "r"); }).code() == errors::bad_roster;
  };
  Roster same_name = example_roster(3);
  same_name.sites[1].name = "alba";
  EXPECT_TRUE(refused(same_name));
  Roster same_key = example_roster(3);
  same_key.sites[1].tls = same_key.sites[0].verify;
  EXPECT_TRUE(refused(same_key));
  Roster empty = example_roster(3);
  empty.sites.clear();
  EXPECT_TRUE(refused(empty));
}

TEST(Documents, AgreementOutOfRange) {
  SignedRoster roster = signed_roster(3);
  auto code_of = [&](auto change) {
    RunAgreement agreement = example_agreement(roster);
    change(agreement);
    return error_of([&] { check_agreement(agreement, roster, "a"); }).code().name;
  };
  std::string_view bad = errors::bad_agreement.name;
  EXPECT_EQ(code_of([](RunAgreement& a) { a.rounds = 0; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.inner_steps = 0; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.block_log2 = 21; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.num_elements = 0; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.minimum = 2; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.minimum = 4; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.colluding = 0; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.colluding = 2; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.roster = digest_of("x"); }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.initial_state = {}; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.settings["outer.eta"] = "1"; }), bad);
  EXPECT_EQ(code_of([](RunAgreement& a) { a.later_rounds.lane = exact::Lane::u8; }),
            "exact.lane_could_wrap");
  EXPECT_EQ(code_of([](RunAgreement& a) { a.weight_cap = 0; }), "exact.weight");
  EXPECT_EQ(code_of([](RunAgreement& a) { a.weight_cap = 0x8000'0000U; }), "exact.weight");
  EXPECT_EQ(code_of([](RunAgreement& a) { a.scales.spread = -1; }), "exact.setting");
}

TEST(Documents, ARateMustBeSinglePrecision) {
  SignedRoster roster = signed_roster(3);
  Bytes document = encode(example_agreement(roster));
  std::string eta = real_text(static_cast<double>(0.7F));
  Bytes edited = bytes_of(replaced(document, eta, real_text(0.7)));
  EXPECT_EQ(error_of([&] { parse_agreement(edited, "a"); }).code(), errors::bad_agreement);
}

TEST(Documents, SignaturesAreAddedToTheirFile) {
  auto folder = std::filesystem::temp_directory_path() / "concordat-documents-test";
  std::filesystem::remove_all(folder);
  FileSystem& fs = posix_files();
  fs.make_directories(folder);
  Roster roster = example_roster(3);
  Bytes document = encode(roster);
  write_atomically(fs, folder / "roster.json", document);
  EXPECT_EQ(error_of([&] { load_roster(fs, folder / "roster.json"); }).code(),
            concordat::errors::not_found);
  for (const DocumentSignature& one : sign_by_all(DocumentKind::roster, document, roster)) {
    add_signature(fs, folder / "roster.json", one);
    add_signature(fs, folder / "roster.json", one);
  }
  EXPECT_EQ(load_roster(fs, folder / "roster.json").roster, roster);
  std::filesystem::remove_all(folder);
}

TEST(Documents, ManifestRoundTripAndStrictness) {
  World world(4, 1, false);
  world.run();
  const Manifest& manifest = world.hub->manifest();
  Bytes document = encode(manifest);
  EXPECT_EQ(parse_manifest(document, "m"), manifest);
  EXPECT_EQ(crypto::sha256(document), world.hub->manifest_digest());
  for (const char* field : {"\"state\"", "\"threshold\"", "\"mask\"", "\"ledger_consistency\""}) {
    Bytes renamed = bytes_of(replaced(document, field, "\"other\""));
    EXPECT_EQ(error_of([&] { parse_manifest(renamed, "m"); }).code(), concordat::errors::malformed);
  }
}

}  // namespace
}  // namespace concordat::federation::test
