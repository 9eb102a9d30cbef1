// Entries that others hand to the ledger's writer: taken once, answered, refused with evidence.
#include "concordat/ledger/hand_over.hpp"

#include <sys/stat.h>

#include "concordat/core/log.hpp"
#include "concordat/crypto/errors.hpp"
#include "concordat/crypto/hash.hpp"
#include "concordat/ledger/errors.hpp"
#include "support/expect_error.hpp"
#include "unit/checkpoint/forwarding_files.hpp"
#include "unit/ledger/ledger_fixture.hpp"

namespace concordat::ledger::testing {
namespace {

Digest digest(std::string_view text) { return crypto::sha256(as_bytes(text)); }

/// A writer starts, and sweeps, whenever an entry is about to get its name.
class SweptFiles final : public testing_support::ForwardingFiles {
 public:
  explicit SweptFiles(int sweeps) : left_(sweeps) {}
  void link(const Path& from, const Path& to) override {
    if (left_-- > 0) HandOver(real_, to.parent_path()).sweep();
    real_.link(from, to);
  }

 private:
  int left_;
};

class HandOverTest : public LedgerTest {
 protected:
  HandOverTest() { log::set_level(log::Level::error); }
  ~HandOverTest() override { log::set_level(log::Level::info); }

  static Entry ingest(const std::string& purpose = "a \"model\",\nof two lines") {
    return ingest_entry({.dataset = "notes",
                         .manifest = digest("manifest"),
                         .language = "de",
                         .purpose = purpose,
                         .source = "texts",
                         .documents = 12,
                         .train_documents = 10,
                         .validation_documents = 2,
                         .shards = {{"train-0000.tok", digest("shard")}}});
  }
  static Entry saved(std::uint64_t step) {
    return checkpoint_entry("demo", "step-" + std::to_string(step), step, Round(1), digest("state"),
                            digest("manifest.json"));
  }
  HandOver desk() { return HandOver(files, temporary.path() / "handover"); }
  std::filesystem::path path(const std::string& name) {
    return temporary.path() / "handover" / (name + ".entry");
  }
  /// A file under the digest of its content, as a careful liar would write it.
  std::string plant(std::string_view text) {
    HandOver made = desk();
    const std::string name = digest(text).hex();
    write_atomically(posix_files(), path(name), as_bytes(text));
    return name;
  }
  /// Exactly one entry of this kind and key stands in the log.
  void expect_once(const Entry& entry) {
    int count = 0;
    for (const LoggedEntry& logged : read().entries) count += logged.entry == entry ? 1 : 0;
    EXPECT_EQ(count, 1) << entry.key;
  }
  void expect_refused(const std::string& name, std::string_view code, const std::string& what) {
    Ledger ledger = open();
    HandOver writer = desk();
    EXPECT_EQ(writer.take(ledger).refused, 1U) << what;
    EXPECT_FALSE(writer.waits(name)) << what;
    const auto answer = writer.answer(name);
    ASSERT_TRUE(answer.has_value()) << what;
    EXPECT_EQ(answer->refused, code) << what << ": " << answer->reason;
    const Entry last = read().entries.back().entry;
    EXPECT_EQ(last.kind, kinds::refusal) << what;
    EXPECT_EQ(last.at("subject"), "handover/" + name) << what;
    EXPECT_EQ(last.at("rule"), code) << what;
  }
};

TEST_F(HandOverTest, AnEntryGetsItsIndexAndLeavesNothingBehind) {
  Ledger ledger = open();
  ledger.append(note(0));
  HandOver writer = desk();
  HandOver client = desk();
  const std::string name = client.put(ingest());
  EXPECT_EQ(client.put(ingest()), name) << "the same entry, the same file";
  EXPECT_FALSE(client.answer(name).has_value());
  EXPECT_EQ(writer.take(ledger).written, 1U);
  EXPECT_EQ(client.answer(name), (Answer{.index = 1}));
  client.forget(name);
  EXPECT_TRUE(posix_files().list(client.folder()).empty());
  expect_once(ingest());

  // The same once more is found, not written.
  client.put(ingest());
  writer.take(ledger);
  EXPECT_EQ(client.answer(name), (Answer{.index = 1, .found = true}));
  EXPECT_EQ(ledger.head().size, 2U);
}

TEST_F(HandOverTest, AWriterKilledAtAnyChangeWritesOnce) {
  std::uint64_t change = 1;
  for (bool died = true; died; ++change) {
    const Entry entry = saved(change);
    HandOver client = desk();
    const std::string name = client.put(entry);
    died = false;
    {
      Ledger ledger = open();
      HandOver writer = desk();
      files.fail_at(change);
      try {
        writer.take(ledger);
      } catch (const Error&) {
        died = true;
      }
      files.heal();
    }
    Ledger ledger = open();
    HandOver writer = desk();
    writer.sweep();
    writer.take(ledger);
    if (!client.answer(name)) {  // answered before the kill, and swept by the restart
      EXPECT_FALSE(client.waits(name));
      client.put(entry);
      writer.take(ledger);
    }
    ASSERT_TRUE(client.answer(name).has_value()) << "killed at change " << change;
    EXPECT_EQ(ledger.entry(client.answer(name)->index).entry, entry);
    expect_once(entry);
    client.forget(name);
  }
  EXPECT_GT(change, 8U) << "append, sync, answer, rename and removal were all cut off";
}

TEST_F(HandOverTest, WhoHandsOverMayBeKilledAtAnyChange) {
  std::uint64_t change = 1;
  for (bool died = true; died; ++change) {
    const Entry entry = saved(change);
    died = false;
    {
      HandOver client = desk();
      files.fail_at(change);
      try {
        client.put(entry);
      } catch (const Error&) {
        died = true;
      }
      files.heal();
    }
    Ledger ledger = open();
    HandOver writer = desk();
    EXPECT_EQ(writer.take(ledger).refused, 0U) << "a half entry was seen at change " << change;
    HandOver client = desk();
    const std::string name = client.put(entry);
    writer.take(ledger);
    ASSERT_TRUE(client.answer(name).has_value());
    expect_once(entry);
    client.forget(name);
  }
  EXPECT_GT(change, 5U);
  HandOver writer = desk();
  writer.sweep();
  EXPECT_TRUE(posix_files().list(writer.folder()).empty()) << "half-written files stay";
}

TEST_F(HandOverTest, WhatIsNoEntryOfItsBuildersIsTurnedAwayWithEvidence) {
  const std::string good = to_line({0, 0, ingest()}) + "\n";
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    if (at == text.npos) throw Bug("no such text: " + std::string(from));
    return text.replace(at, from.size(), to);
  };
  const std::string_view code = errors::malformed.name;
  expect_refused(plant(""), code, "nothing");
  expect_refused(plant("\n"), code, "an empty line");
  expect_refused(plant(good.substr(0, good.size() - 1)), code, "no line end");
  expect_refused(plant(good.substr(0, good.size() / 2)), code, "half an entry");
  expect_refused(plant(good + good), code, "two entries");
  expect_refused(plant(std::string("\xff\xfe\0\n", 4)), code, "no text");
  expect_refused(plant(changed("\"index\":0", "\"index\":7")), code, "an index of its own");
  expect_refused(plant(changed("\"time\":0", "\"time\":9")), code, "a time of its own");
  expect_refused(plant(changed("\"12\"", "\"012\"")), code, "another form of a number");
  expect_refused(plant(changed("\"12\"", "\"twelve\"")), code, "no number");
  expect_refused(plant(changed("\"language\":", "\"Language\":")), code, "a missing field");
  expect_refused(plant(changed("\"source\":", "\"also\":\"x\",\"source\":")), code, "a new field");
  expect_refused(plant(changed("ingest/notes", "ingest/other")), code, "the key of another");
  expect_refused(plant(changed("\"ingest\"", "\"state\"")), code, "a kind that is not handed over");
  expect_refused(plant(to_line({0, 0, note(3)}) + "\n"), code, "a state");
  Decision permit;
  permit.id = "ready/0.0.0/coordinator/0";
  permit.permitted = true;
  expect_refused(plant(to_line({0, 0, decision_entry(permit)}) + "\n"), code, "a decision");
  expect_refused(plant(std::string(max_line_bytes + 2, 'x')), code, "more than a line may have");
  Entry scoped = ingest();
  scoped.key.insert(0, run_scope(digest("agreement")));
  expect_refused(plant(to_line({0, 0, scoped}) + "\n"), code, "an ingest inside of a run");
  Entry stranger = saved(1);
  stranger.key.insert(0, run_scope(digest("nobody's agreement")));
  expect_refused(plant(to_line({0, 0, stranger}) + "\n"), code, "a run that is not known");
}

TEST_F(HandOverTest, AFileThatIsNotWhatItsNameSaysIsTurnedAway) {
  const std::string good = to_line({0, 0, ingest()}) + "\n";
  HandOver client = desk();
  const std::string name = digest("something else").hex();
  write_atomically(posix_files(), path(name), as_bytes(good));
  expect_refused(name, errors::malformed.name, "another digest");

  const std::string open_name = client.put(saved(1));
  std::filesystem::permissions(path(open_name), std::filesystem::perms(0644));
  expect_refused(open_name, crypto::errors::open_permissions.name, "others may read it");

  std::filesystem::create_directory(path(name));
  std::filesystem::permissions(path(name), std::filesystem::perms(0700));
  posix_files().open(path(name) / "inside", OpenMode::truncate);
  expect_refused(name, errors::malformed.name, "a folder");

  std::filesystem::create_symlink("/etc/passwd", path(name));
  expect_refused(name, crypto::errors::open_permissions.name, "a link");
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));

  const std::string pipe = digest("a pipe").hex();
  ASSERT_EQ(::mkfifo(path(pipe).c_str(), 0600), 0);
  expect_refused(pipe, errors::malformed.name, "a pipe that nobody writes into");
}

TEST_F(HandOverTest, OtherFilesAreLeftAlone) {
  HandOver client = desk();
  for (const char* other : {"notes.txt", "ABC.entry", "STOP", "x.answer"}) {
    testing_support::overwrite(client.folder() / other, {});
  }
  Ledger ledger = open();
  EXPECT_FALSE(client.take(ledger).any());
  client.sweep();
  EXPECT_EQ(posix_files().list(client.folder()).size(), 4U);
}

TEST_F(HandOverTest, AFolderThatOthersMayUseIsRefused) {
  const auto folder_path = desk().folder();
  std::filesystem::permissions(folder_path, std::filesystem::perms(0750));
  EXPECT_ERROR_SAYS(desk(), crypto::errors::open_permissions, "chmod 0700");
  std::filesystem::permissions(folder_path, std::filesystem::perms(0700));
  files.extra_owner = 1;
  EXPECT_ERROR_SAYS(desk(), crypto::errors::open_permissions, "another user");
}

TEST_F(HandOverTest, OtherContentUnderAUsedKeyIsAConflict) {
  Ledger ledger = open();
  ledger.append_keyed(ingest("one purpose"));
  const std::string name = desk().put(ingest("another purpose"));
  expect_refused(name, errors::conflict.name, "another purpose");
}

TEST_F(HandOverTest, AFullDiskEndsTheWriterAndNotTheEntry) {
  HandOver client = desk();
  const std::string name = client.put(ingest());
  Ledger ledger = open();
  HandOver writer = desk();
  files.fail_at(1);
  EXPECT_ERROR(writer.take(ledger), concordat::errors::disk_full);
  files.heal();
  EXPECT_TRUE(client.waits(name));
  EXPECT_FALSE(client.answer(name).has_value());
}

TEST_F(HandOverTest, EntriesOfARunKeepItsScopeAndOthersHaveNone) {
  Ledger ledger = open();
  const Digest agreement = digest("agreement");
  ledger.append(agreement_entry({digest("f"), digest("r"), agreement, digest("s"), "site-0", "a"}));
  EXPECT_TRUE(ledger.knows_run(run_scope(agreement)));
  EXPECT_FALSE(ledger.knows_run(run_scope(digest("another"))));
  Entry of_run = saved(4);
  of_run.key.insert(0, run_scope(agreement));
  HandOver client = desk();
  client.put(of_run);
  client.put(ingest());
  EXPECT_EQ(client.take(ledger).written, 2U);
  expect_once(of_run);
  expect_once(ingest());
  // What the border writes of the same generation at COMMIT is the same entry.
  EXPECT_EQ(ledger.append(saved(4)), *ledger.find(saved(4).key));
  EXPECT_EQ(ledger.head().size, 3U);
}

TEST_F(HandOverTest, OneCallTakesABoundedNumber) {
  HandOver client = desk();
  for (std::uint64_t step = 0; step < HandOver::max_per_call + 3; ++step) client.put(saved(step));
  Ledger ledger = open();
  EXPECT_EQ(client.take(ledger).written, HandOver::max_per_call);
  EXPECT_EQ(client.take(ledger).written, 3U);
}

TEST_F(HandOverTest, AnswersAreReadStrictly) {
  const std::string name = digest("x").hex();
  const auto text = [&](const std::string& rest) {
    return R"({"format": "concordat-answer-1", "entry": ")" + name + "\", " + rest + "}";
  };
  EXPECT_EQ(answer_from(text(R"("index": 5, "found": true)"), name, "a"),
            (Answer{.index = 5, .found = true}));
  for (const std::string rest :
       {R"("index": -1, "found": true)", R"("index": 5)", R"("index": 5, "found": 1)",
        R"("index": 5, "found": true, "more": 1)", R"("refused": "", "reason": "r")",
        R"("refused": "ledger.conflict", "index": 5)", R"("index": "5", "found": false)"}) {
    EXPECT_ERROR(answer_from(text(rest), name, "a"), concordat::errors::malformed);
  }
  EXPECT_ERROR(answer_from(text(R"("index": 5, "found": true)"), digest("y").hex(), "a"),
               concordat::errors::malformed);
}

TEST_F(HandOverTest, AWriterThatStartsMeanwhileSweepsNoEntryAway) {
  SweptFiles swept(2);
  HandOver client(swept, temporary.path() / "handover");
  EXPECT_TRUE(client.waits(client.put(ingest())));
  SweptFiles for_ever(1000);
  HandOver unlucky(for_ever, temporary.path() / "handover");
  EXPECT_THROW(unlucky.put(ingest("another")), Error);
}

}  // namespace
}  // namespace concordat::ledger::testing
