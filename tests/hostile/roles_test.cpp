// What border, ranks and coordinator leave for each other in folders and journals.
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/exchange_log.hpp"
#include "site/border_records.hpp"
#include "site/border_secrets.hpp"
#include "site/run_folder.hpp"
#include "site/run_records.hpp"
#include "support/fixed_random.hpp"
#include "support/hostile.hpp"

namespace concordat::site {
namespace {

using testing_support::bytes_of;
using testing_support::expect_typed;

const ExchangeId exchange{Round{3}, {}, {}};
const std::string nonce(32, 'a');

TEST(HostileBytes, RecordsOfTheRunFolder) {
  testing_support::FixedRandom random("keys");
  const auto key = crypto::OpeningKey::generate(random);
  const std::string key_text = encode_key(exchange, {key.seal_key(), {}, 2, "step-000004"});
  expect_typed({bytes_of(key_text)},
               [](ByteView bytes) { decode_key(exchange, to_string(bytes), "key"); });

  CommitRecord commit;
  commit.try_nonce = nonce;
  commit.block_log2 = 14;
  commit.num_elements = 40'000;
  commit.generation = "step-000120";
  commit.ranges = {{0, 2}, {2, 3}};
  commit.leaves.resize(3);
  expect_typed({bytes_of(encode_commit(exchange, commit))}, [](ByteView bytes) {
    const CommitRecord found = decode_commit(exchange, to_string(bytes), "COMMIT");
    EXPECT_EQ(encode_commit(exchange, found), to_string(bytes));
  });

  ClosedRecord closed;
  closed.survivors = {SiteId{0}, SiteId{1}, SiteId{2}};
  closed.total_weight = 300;
  expect_typed({bytes_of(encode_closed(exchange, closed))}, [](ByteView bytes) {
    const ClosedRecord found = decode_closed(exchange, to_string(bytes), "CLOSED");
    EXPECT_EQ(encode_closed(exchange, found), to_string(bytes));
  });
}

TEST(HostileBytes, SecretsForRanks) {
  RankSecrets secrets;
  secrets.participants = {SiteId{0}, SiteId{1}, SiteId{2}};
  secrets.rounding_key = crypto::SecretBytes(32);
  const auto plain = encode_secrets(secrets);
  const Bytes seed(plain.view().begin(), plain.view().end());
  expect_typed({seed}, [](ByteView bytes) { decode_secrets(bytes); });

  testing_support::FixedRandom random("seal");
  const auto key = crypto::OpeningKey::generate(random);
  const Bytes sealed = seal_secrets(exchange, nonce, key.seal_key(), secrets, random);
  const auto count =
      expect_typed({sealed}, [&](ByteView bytes) { open_secrets(exchange, nonce, key, bytes); },
                   {.cases = 1000});
  EXPECT_LT(count.values, 30);
}

TEST(HostileBytes, RecordsOfTheBordersJournal) {
  border::Statement statement{};
  statement.fill(7);
  federation::Incoming message{{}, {1, 2, 3}};
  message.header.type = border::MessageType::go;
  federation::Chain chain{{}, {{12, {}}, {13, {}}, {14, {}}}};
  expect_typed({encode(BorderRecord(OpenedRecord{})),
                encode(BorderRecord(EventRecord{{}, 300, message, statement})),
                encode(BorderRecord(SealedRecord{border::MessageType::ready, Bytes(90, 1)})),
                encode(BorderRecord(DeliveredRecord{border::MessageType::cosign})),
                encode(BorderRecord(OverRecord{Round{2}, {}, chain}))},
               [](ByteView bytes) {
                 EXPECT_TRUE(std::ranges::equal(encode(decode_border_record(bytes)), bytes));
               });
}

TEST(HostileBytes, SecretsOfTheBorder) {
  testing_support::FixedRandom random("border");
  BorderSecrets fresh = fresh_secrets(random);
  BorderSecrets later = fresh_secrets(random);
  later.upload = border::FrameKey::generate(random);
  later.aggregate = border::FrameKey::generate(random);
  std::vector<Bytes> seeds;
  for (const BorderSecrets* one : {&fresh, &later}) {
    const auto plain = encode(*one);
    seeds.emplace_back(plain.view().begin(), plain.view().end());
  }
  expect_typed(seeds, [](ByteView bytes) { decode_border_secrets(bytes); }, {.cases = 1500});
}

TEST(HostileBytes, RecordsOfTheCoordinatorsJournal) {
  using namespace coordinator;
  border::Statement statement{};
  federation::Incoming message{{}, {1, 2, 3}};
  message.header.type = border::MessageType::ready;
  federation::Chain chain{{}, {{12, {}}, {13, {}}, {14, {}}}};
  const std::vector<LogRecord> records{
      BeginRecord{exchange, {}, chain}, IncomingRecord{{}, 300, message, statement},
      OwnRecord{federation::UploadStored{SiteId{1}}},
      coordinator::SealedRecord{SiteId{1}, border::MessageType::go, Bytes(90, 1)}};
  std::vector<Bytes> seeds;
  for (const LogRecord& record : records) seeds.push_back(encode(record));
  expect_typed(seeds, [](ByteView bytes) {
    EXPECT_TRUE(std::ranges::equal(encode(decode_record(bytes, "journal")), bytes));
  });
}

}  // namespace
}  // namespace concordat::site
