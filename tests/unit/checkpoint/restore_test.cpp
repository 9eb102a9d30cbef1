#include <gtest/gtest.h>

#include <sstream>

#include "concordat/checkpoint/checkpoint.hpp"
#include "concordat/comm/agree.hpp"
#include "concordat/comm/threads.hpp"
#include "concordat/crypto/hash.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "unit/checkpoint/forwarding_files.hpp"
#include "unit/checkpoint/test_state.hpp"

namespace concordat::checkpoint {
namespace {

using parallel::MeshShape;
using testing_support::TemporaryFolder;

void save(const Path& folder, const MeshShape& mesh, int ranks, std::uint64_t step,
          const SaveOptions& options = {}) {
  comm::run_threads(ranks, [&](comm::Communicator& comm) {
    TestState state(comm, mesh);
    state.fill(static_cast<int>(step));
    save_generation(comm, posix_files(), folder, {.step = step, .round = step / 10}, state.tensors,
                    {{"layout", mesh.text()}, {"data.cursor", "61440"}}, options);
  });
}

/// A manifest's text with the digest that belongs to its body.
std::string with_right_digest(const std::string& text) {
  std::string compact;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (const auto colon = line.find(R"(": )"); colon != std::string::npos)
      line.erase(colon + 2, 1);
    compact += line;
  }
  const std::string before = R"({"body":)";
  const auto end = compact.rfind(R"(,"sha256":)");
  const std::string body = compact.substr(before.size(), end - before.size());
  return before + body + R"(,"sha256":")" + crypto::sha256(as_bytes(body)).hex() + R"("})";
}

std::optional<Restored> restore(const Path& folder, const MeshShape& mesh, int ranks,
                                const RestoreOptions& options = {}) {
  std::optional<Restored> result;
  comm::run_threads(ranks, [&](comm::Communicator& comm) {
    TestState state(comm, mesh);
    auto restored = restore_newest(comm, posix_files(), folder, state.tensors, options);
    if (restored) {
      EXPECT_TRUE(state.is(static_cast<int>(restored->position.step))) << mesh.text();
    }
    if (comm.rank() == ranks - 1) result = restored;
  });
  return result;
}

TEST(Restore, an_empty_folder_means_a_fresh_start) {
  TemporaryFolder folder;
  EXPECT_FALSE(restore(folder.path() / "none", {}, 2).has_value());
}

TEST(Restore, every_mesh_restores_what_every_other_saved) {
  const std::vector<std::pair<MeshShape, int>> layouts{
      {{1, 1, 1, 1}, 1}, {{3, 1, 1, 2}, 6}, {{1, 3, 1, 2}, 6}, {{1, 1, 3, 2}, 6},
      {{1, 2, 1, 1}, 2}, {{1, 1, 1, 4}, 4}, {{1, 3, 2, 1}, 6}, {{2, 1, 1, 1}, 2}};
  for (const auto& [from, from_ranks] : layouts) {
    TemporaryFolder folder;
    save(folder.path(), from, from_ranks, 12);
    for (const auto& [to, to_ranks] : layouts) {
      const auto restored = restore(folder.path(), to, to_ranks);
      ASSERT_TRUE(restored.has_value());
      EXPECT_EQ(restored->name, "step-000012");
      EXPECT_EQ(restored->position.round, 1U);
      EXPECT_EQ(restored->metadata.at("layout"), from.text());
      EXPECT_EQ(restored->metadata.at("data.cursor"), "61440");
      EXPECT_TRUE(restored->skipped.empty());
    }
  }
}

TEST(Restore, the_bytes_of_the_file_do_not_depend_on_the_layout) {
  TemporaryFolder one;
  TemporaryFolder six;
  save(one.path(), {}, 1, 5);
  save(six.path(), {3, 1, 1, 2}, 6, 5);
  auto digest = [](const Path& folder) {
    std::vector<Digest> roots;
    for (const auto& d : read_manifest(posix_files(), folder / "step-000005").datasets) {
      roots.push_back(d.root);
    }
    return roots;
  };
  EXPECT_EQ(digest(one.path()), digest(six.path()));
  EXPECT_EQ(read_file(posix_files(), one.path() / "step-000005" / "state.h5"),
            read_file(posix_files(), six.path() / "step-000005" / "state.h5"));
}

TEST(Restore, one_flipped_bit_anywhere_sends_it_to_the_older_generation) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  save(folder.path(), {}, 1, 2);
  for (const char* name : {"state.h5", "manifest.json"}) {
    const Path path = folder.path() / "step-000002" / name;
    const auto size = posix_files().file_size(path);
    for (std::uint64_t i = 0; i < 24; ++i) {
      const std::uint64_t offset = i < 20 ? size * i / 20 : size - (i - 19);
      testing_support::flip_bit(path, offset);
      EXPECT_TRUE(verify_generation(posix_files(), folder.path() / "step-000002").has_value())
          << name << " offset " << offset;
      if (i % 6 == 0) {
        const auto restored = restore(folder.path(), {2, 1, 1, 1}, 2);
        ASSERT_TRUE(restored.has_value());
        EXPECT_EQ(restored->name, "step-000001");
        ASSERT_EQ(restored->skipped.size(), 1U);
        EXPECT_EQ(restored->skipped[0].name, "step-000002");
        EXPECT_FALSE(restored->skipped[0].reason.empty());
      }
      testing_support::flip_bit(path, offset);
    }
  }
  EXPECT_EQ(verify_generation(posix_files(), folder.path() / "step-000002"), std::nullopt);
}

TEST(Restore, torn_and_missing_files_are_skipped_with_their_reason) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  save(folder.path(), {}, 1, 2);
  const Path newest = folder.path() / "step-000002";
  posix_files().open(newest / "state.h5", OpenMode::read_write)->resize(5000);
  auto restored = restore(folder.path(), {}, 2);
  EXPECT_EQ(restored->name, "step-000001");
  EXPECT_NE(restored->skipped[0].reason.find("wrong length"), std::string::npos);
  EXPECT_NE(restored->skipped[0].reason.find("remedy: an older generation"), std::string::npos);
  posix_files().remove(newest / "manifest.json");
  restored = restore(folder.path(), {}, 2);
  EXPECT_NE(restored->skipped[0].reason.find("manifest.json"), std::string::npos);
}

TEST(Restore, a_damaged_byte_in_any_region_of_either_file_is_found) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  const Path generation = folder.path() / "step-000001";
  const Manifest manifest = read_manifest(posix_files(), generation);
  std::vector<std::uint64_t> offsets{0, 8, 96, manifest.file_bytes - 1};  // the HDF5 structure
  for (const auto& dataset : manifest.datasets) {
    const auto bytes =
        static_cast<std::uint64_t>(num_elements(dataset.shape)) * size_of(dataset.dtype);
    for (const auto at : {std::uint64_t{0}, bytes / 2, bytes - 1}) {
      offsets.push_back(dataset.offset + at);
    }
    // The byte behind it belongs to a gap, to structure or to the next dataset.
    if (dataset.offset + bytes < manifest.file_bytes) offsets.push_back(dataset.offset + bytes);
  }
  for (const auto offset : offsets) {
    testing_support::flip_bit(generation / "state.h5", offset);
    EXPECT_TRUE(verify_generation(posix_files(), generation).has_value()) << offset;
    testing_support::flip_bit(generation / "state.h5", offset);
  }
  EXPECT_EQ(verify_generation(posix_files(), generation), std::nullopt);
}

TEST(Restore, files_that_are_cut_anywhere_are_skipped) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  save(folder.path(), {}, 1, 2);
  for (const char* name : {"manifest.json", "state.h5"}) {
    const Path path = folder.path() / "step-000002" / name;
    const Bytes whole = read_file(posix_files(), path);
    for (const std::size_t parts : {0, 1, 2, 3, 4, 5, 6, 7}) {
      testing_support::overwrite(path, ByteView(whole).first((whole.size() - 2) * parts / 7));
      const auto restored = restore(folder.path(), {}, 1);
      EXPECT_EQ(restored->name, "step-000001") << name << ", " << parts << " sevenths";
    }
    testing_support::overwrite(path, whole);
  }
  EXPECT_EQ(restore(folder.path(), {}, 1)->name, "step-000002");
}

TEST(Restore, a_manifest_of_another_generation_is_skipped) {
  TemporaryFolder folder;
  for (const std::uint64_t step : {1, 2, 3}) save(folder.path(), {}, 1, step, {.keep = 3});
  const auto copy_manifest = [&](const char* from, const char* to) {
    testing_support::overwrite(folder.path() / to / "manifest.json",
                               read_file(posix_files(), folder.path() / from / "manifest.json"));
  };
  copy_manifest("step-000001", "step-000003");
  const auto restored = restore(folder.path(), {}, 2);
  EXPECT_EQ(restored->name, "step-000002");
  ASSERT_EQ(restored->skipped.size(), 1U);
  EXPECT_NE(restored->skipped[0].reason.find("hashes to"), std::string::npos);
}

TEST(Restore, a_generation_of_a_newer_version_is_refused_by_that_name) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  save(folder.path(), {}, 1, 2);
  const Path path = folder.path() / "step-000002" / "manifest.json";
  std::string text = read_text(posix_files(), path);
  testing_support::overwrite(path, as_bytes(with_right_digest(text)));
  EXPECT_EQ(restore(folder.path(), {}, 2)->name, "step-000002");
  // What that version would have written: another name, under a digest that is right.
  const std::string name = "concordat-checkpoint-1";
  text.replace(text.find(name), name.size(), "concordat-checkpoint-2");
  testing_support::overwrite(path, as_bytes(with_right_digest(text)));
  EXPECT_ERROR_SAYS(restore(folder.path(), {}, 2), errors::newer_version,
                    "written by a newer version");
  EXPECT_ERROR_SAYS(verify_generation(posix_files(), folder.path() / "step-000002"),
                    errors::newer_version, "written by a newer version");
}

TEST(Restore, latest_may_point_nowhere) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  for (const char* text : {"step-999999\n", "", "../../elsewhere\n"}) {
    testing_support::overwrite(folder.path() / "LATEST", as_bytes(text));
    EXPECT_EQ(restore(folder.path(), {}, 2)->name, "step-000001");
  }
  posix_files().remove(folder.path() / "LATEST");
  EXPECT_EQ(restore(folder.path(), {}, 2)->name, "step-000001");
}

TEST(Restore, works_where_nothing_can_be_written_and_saving_there_is_refused) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  testing_support::ReadOnlyFiles fs;
  comm::run_threads(2, [&](comm::Communicator& comm) {
    TestState state(comm, {2, 1, 1, 1});
    EXPECT_EQ(restore_newest(comm, fs, folder.path(), state.tensors)->name, "step-000001");
    EXPECT_ERROR_SAYS(
        save_generation(comm, fs, folder.path(), {.step = 2, .round = 0}, state.tensors, {}),
        concordat::errors::io_failed, "read-only");
  });
}

TEST(Restore, is_refused_when_nothing_verifies) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  testing_support::flip_bit(folder.path() / "step-000001" / "state.h5", 6000);
  EXPECT_ERROR_SAYS(restore(folder.path(), {}, 2), errors::none_verifies, "step-000001");
}

TEST(Restore, another_model_is_refused_not_skipped) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  auto with = [&](auto&& change, const RestoreOptions& options = {}) {
    comm::run_threads(2, [&](comm::Communicator& comm) {
      TestState state(comm, {2, 1, 1, 1});
      change(state.tensors);
      restore_newest(comm, posix_files(), folder.path(), state.tensors, options);
    });
  };
  EXPECT_ERROR_SAYS(with([](auto& t) { t.pop_back(); }), errors::mismatch, "counter");
  EXPECT_ERROR_SAYS(with([](auto& t) { t[0].name = "other"; }), errors::mismatch, "other");
  EXPECT_ERROR_SAYS(with([](auto& t) {
                      t.back().shape = {2};
                      t.back().held = {};
                      t.back().owned = {};
                    }),
                    errors::mismatch, "counter");
  EXPECT_NO_THROW(with([](auto& t) { t.resize(1); }, {.only = {}, .subset = true}));
}

TEST(Restore, another_model_is_refused_even_if_its_data_are_damaged) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  damage(folder.path() / "step-000001", "weights/o");
  const auto with = [&](const std::string& name, const RestoreOptions& options = {}) {
    comm::run_threads(2, [&](comm::Communicator& comm) {
      TestState other(comm, {2, 1, 1, 1});
      other.tensors[0].name = name;
      restore_newest(comm, posix_files(), folder.path(), other.tensors, options);
    });
  };
  EXPECT_ERROR_SAYS(with("other"), errors::mismatch, "other");
  EXPECT_ERROR_SAYS(with("other", {.subset = true}), errors::mismatch, "other");
  EXPECT_ERROR_SAYS(with("weights/embed"), errors::none_verifies, "");
  EXPECT_ERROR_SAYS(with("weights/embed", {.subset = true}), errors::none_verifies, "");
}

TEST(Restore, a_layout_that_scrambles_the_elements_is_caught) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  auto scrambled = [&] {
    comm::run_threads(2, [&](comm::Communicator& comm) {
      TestState state(comm, {2, 1, 1, 1});
      // Holds the elements from 0, contributes them from elsewhere: a bug of a layout.
      auto& k = state.tensors[2];
      if (!k.owned.empty()) {
        k.owned = {{0, 6, 1, 0, 6, 0}, {6, 6, 1, 0, 0, 0}, {12, 12, 1, 0, 12, 0}};
      }
      restore_newest(comm, posix_files(), folder.path(), state.tensors);
    });
  };
  EXPECT_ERROR_SAYS(scrambled(), errors::digest_mismatch, "weights/k");
}

TEST(Restore, one_generation_can_be_asked_for) {
  TemporaryFolder folder;
  save(folder.path(), {}, 1, 1);
  save(folder.path(), {}, 1, 2);
  EXPECT_EQ(restore(folder.path(), {}, 1, {.only = "step-000001", .subset = false})->name,
            "step-000001");
}

}  // namespace
}  // namespace concordat::checkpoint
