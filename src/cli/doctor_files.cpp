// What the file system of a folder does of what Concordat needs.
#include <algorithm>

#include "cli/doctor_checks.hpp"
#include "cli/doctor_workbench.hpp"
#include "concordat/checkpoint/hdf5_probe.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr std::uint64_t piece_bytes = 4U << 20U;

Bytes pattern(std::uint64_t bytes) {
  Bytes content(bytes);
  std::uint32_t state = 12345;
  for (auto& byte : content) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24U);
  }
  return content;
}

void require_content(FileSystem& fs, const Path& path, ByteView wanted, const char* what) {
  const Bytes found = read_file(fs, path, wanted.size());
  if (std::equal(found.begin(), found.end(), wanted.begin(), wanted.end())) return;
  throw Error(errors::malformed, {.what = what,
                                  .where = path.string(),
                                  .found = "other bytes",
                                  .expected = std::to_string(wanted.size()) + " bytes as written",
                                  .remedy = "do not keep runs on this file system"});
}

Finding type_finding(const std::string& type, const std::string& name, const Path& folder) {
  const std::string text = name + " " + folder.string() + " lies on " + type;
  if (type == "tmpfs" || type == "ramfs") {
    return warn(
        "files", text + ", which is memory: nothing there survives the machine",
        "put it on a disk or on the shared file system; keep the " + type + " for scratch only");
  }
  if (type == "overlay") {
    return warn("files", text + ", the writable layer of a container: it goes with the container",
                "mount a volume of the host there");
  }
  if (type == "fuse" || type == "cifs" || type == "smb" || type == "smb2") {
    return warn("files", text + ": locks and fsync there are only as good as what lies behind it",
                "prefer a file system of the cluster; the checks below say what works");
  }
  return ok("files", text);
}

Finding space_finding(std::uint64_t free, const FolderRequest& request, const Path& folder) {
  const std::string text = observe::short_bytes(free) + " free at " + folder.string();
  if (request.needed_bytes == 0) return ok("files", text);
  const std::string wanted =
      "; " + request.need + " need " + observe::short_bytes(request.needed_bytes);
  const std::string remedy = "free space, raise the quota, or choose another " + request.key;
  if (free < request.least_bytes) return fail("files", text + wanted, remedy);
  if (free < request.needed_bytes) return warn("files", text + wanted, remedy);
  return ok("files", text + wanted);
}

void check_access(Findings& findings, FileSystem& fs, const FolderRequest& request) {
  if (!request.only_owner) {
    attempt(findings, "files", [&] {
      crypto::require_own_folder(fs, request.folder);
      findings.push_back(
          ok("files", request.name + ": this user's, and nobody else may write in it"));
    });
    return;
  }
  try {
    crypto::require_private(fs, request.folder);
    findings.push_back(
        ok("files", request.name + ": this user's, and nobody else may look into it"));
  } catch (const Error& error) {
    const bool open = error.fields().found.starts_with("mode");
    findings.push_back(failed("files", error,
                              open ? "chmod 0700 " + request.folder.string() +
                                         ": weights lie there in clear, and the masked updates"
                                   : ""));
  }
}

/// The steps by which everything here becomes durable, each under its own name in the finding.
void check_steps(Findings& findings, FileSystem& fs, const Path& bench) {
  const Bytes first = pattern(64);
  const Bytes second = pattern(128);
  const char* step = "exclusive creation";
  try {
    fs.open(bench / "a", OpenMode::create_exclusive)->write(first);
    bool refused = false;
    try {
      fs.open(bench / "a", OpenMode::create_exclusive);
    } catch (const Error& error) {
      refused = error.code() == errors::already_exists;
      if (!refused) throw;
    }
    if (!refused) {
      findings.push_back(fail("files", "a file that is there was created a second time",
                              "do not keep runs on this file system: two jobs could both commit"));
      return;
    }
    step = "fsync of a file";
    fs.open(bench / "a", OpenMode::read_write)->sync();
    step = "rename over a file";
    fs.open(bench / "b", OpenMode::create_exclusive)->write(second);
    fs.rename(bench / "b", bench / "a");
    if (fs.exists(bench / "b")) throw Error(errors::io_failed, {.what = "both names are there"});
    require_content(fs, bench / "a", second, "a renamed file has other content");
    step = "link";
    fs.link(bench / "a", bench / "c");
    require_content(fs, bench / "c", second, "a linked file has other content");
    step = "fsync of a folder";
    fs.sync_directory(bench);
    findings.push_back(ok("files", "exclusive creation, rename over a file, link and fsync work"));
  } catch (const Error& error) {
    Finding finding = failed("files", error);
    finding.text = std::string(step) + " does not work: " + finding.text;
    if (finding.remedy.empty()) finding.remedy = "keep runs on another file system";
    findings.push_back(std::move(finding));
  }
}

void check_lock(Findings& findings, const FileSeams& seams, const Path& bench) {
  const std::string remedy =
      "mount with locks for all (Lustre: -o flock, NFS: without nolock or local_lock), or keep "
      "runs elsewhere: two jobs on one run folder would not see each other";
  try {
    const RoleLock lock(bench / "lock", "doctor");
    if (seams.held_for_others(bench / "lock")) {
      findings.push_back(ok("files", "a role lock is seen by another process"));
    } else {
      findings.push_back(fail("files", "a role lock is not seen by another process", remedy));
    }
  } catch (const Error& error) {
    findings.push_back(failed("files", error, remedy));
  }
}

void check_hdf5(Findings& findings, FileSystem& fs, const Path& bench, const std::string& locking) {
  const bool unlocked = locking == "FALSE" || locking == "0";
  try {
    checkpoint::probe_hdf5(fs, bench);
    findings.push_back(
        ok("files", unlocked ? "HDF5 creates and reads a file there (HDF5_USE_FILE_LOCKING=" +
                                   locking + ": without its own locks)"
                             : "HDF5 creates, locks and reads a file there"));
  } catch (const Error& error) {
    findings.push_back(failed("files", error,
                              unlocked ? "keep the run on another file system, or see the file "
                                         "findings above"
                                       : "if role locks work, set HDF5_USE_FILE_LOCKING=FALSE in "
                                         "the batch script; otherwise see the file findings "
                                         "above"));
  }
}

void check_rate(Findings& findings, const FileSeams& seams, const Path& bench,
                std::uint64_t bytes) {
  using Seconds = std::chrono::duration<double>;
  const Bytes piece = pattern(piece_bytes);
  const std::uint64_t pieces = std::max<std::uint64_t>(1, bytes / piece_bytes);
  const auto begin = seams.clock.monotonic();
  auto file = seams.fs.open(bench / "rate", OpenMode::create_exclusive);
  for (std::uint64_t i = 0; i < pieces; ++i) file->write_at(i * piece_bytes, piece);
  file->sync();
  const auto written = seams.clock.monotonic();
  Bytes read(piece_bytes);
  for (std::uint64_t i = 0; i < pieces; ++i) {
    file->read_at(i * piece_bytes, read);
    if (read != piece) {
      findings.push_back(fail(
          "files",
          "a file of " + observe::short_bytes(bytes) + " reads back other bytes than were written",
          "do not keep runs on this file system"));
      return;
    }
  }
  const auto end = seams.clock.monotonic();
  const auto total = static_cast<double>(pieces * piece_bytes);
  const double write_rate = total / std::max(Seconds(written - begin).count(), 1e-9);
  const double read_rate = total / std::max(Seconds(end - written).count(), 1e-9);
  Finding finding = ok("files", observe::short_bytes(pieces * piece_bytes) +
                                    " written with fsync: " + rate_text(write_rate, "B") +
                                    "; read back: " + rate_text(read_rate, "B") +
                                    " (from memory, where it is kept)");
  finding.figures = {{"write_bytes_per_s", write_rate}, {"read_bytes_per_s", read_rate}};
  constexpr double slow = 20e6;
  if (write_rate < slow) {
    finding.level = Level::warn;
    finding.remedy =
        "a checkpoint takes as long as its bytes at this rate: save seldom, or keep "
        "the run on a faster file system";
  }
  findings.push_back(std::move(finding));
}

}  // namespace

Path nearest_folder(FileSystem& fs, const Path& path) {
  Path at = path.lexically_normal();
  while (!at.empty() && !fs.is_directory(at)) {
    const Path above = at.parent_path();
    if (above == at) break;
    at = above;
  }
  return at.empty() ? Path(".") : at;
}

Findings check_folder(const FileSeams& seams, const FolderRequest& request) {
  Findings findings;
  FileSystem& fs = seams.fs;
  const Path folder = nearest_folder(fs, request.folder);
  const bool there = fs.is_directory(request.folder);
  if (there) {
    check_access(findings, fs, request);
  } else {
    findings.push_back(ok("files", request.name + " " + request.folder.string() +
                                       " is not there yet; checked where it will be made"));
  }
  findings.push_back(type_finding(seams.type(folder), request.name, folder));
  attempt(findings, "files", [&] {
    const std::uint64_t free = fs.free_bytes(folder);
    findings.push_back(space_finding(free, request, folder));
    const Workbench bench(fs, folder);
    check_steps(findings, fs, bench.path());
    check_lock(findings, seams, bench.path());
    if (request.hdf5) check_hdf5(findings, fs, bench.path(), request.hdf5_locking);
    if (request.rate_bytes == 0) return;
    check_rate(findings, seams, bench.path(), std::min(request.rate_bytes, free / 4));
  });
  return findings;
}

Findings check_fast_folder(const FileSeams& seams, const Path& fast, FolderRequest request) {
  if (!seams.fs.is_directory(fast)) {
    return {fail("files", "checkpoint.fast " + fast.string() + " is not there on this node",
                 "create it on every node of the job, give another checkpoint.fast, or none")};
  }
  request.name = "fast tier";
  request.key = "checkpoint.fast";
  request.only_owner = true;
  request.hdf5 = true;
  return check_folder(seams, request);
}

Findings check_shared_folder(comm::Communicator& comm, const FileSeams& seams, const Path& folder,
                             const comm::PlacementReport& report) {
  Findings findings;
  std::optional<Workbench> bench;
  std::optional<RoleLock> lock;
  Bytes name;
  if (comm.rank() == 0) {
    attempt(findings, "files", [&] {
      bench.emplace(seams.fs, nearest_folder(seams.fs, folder));
      write_atomically(seams.fs, bench->path() / "seen", pattern(64));
      lock.emplace(bench->path() / "lock", "doctor");
      const std::string text = bench->path().string();
      name.assign(text.begin(), text.end());
    });
  }
  comm.broadcast_bytes(name, 0);
  if (name.empty()) return findings;
  const Path seen = Path(to_string(name));
  Bytes mine{0, 0};
  try {
    if (comm.rank() != 0) {
      mine[0] = read_file(seams.fs, seen / "seen") == pattern(64) ? 1 : 0;
      mine[1] = role_holder(seen / "lock") ? 1 : 0;
    }
  } catch (const Error&) {
    // Not seen: what the finding says.
  }
  const std::vector<Bytes> all = comm.gather_bytes(mine, 0);
  if (comm.rank() != 0) return findings;
  for (std::size_t r = 1; r < all.size(); ++r) {
    const std::string who = "rank " + std::to_string(r) + " on " + report.ranks[r].host;
    if (all[r].at(0) == 0) {
      findings.push_back(fail("files",
                              who + " does not see what rank 0 writes in " + folder.string(),
                              "the site's folder must lie on a file system that all nodes of the "
                              "job share"));
    } else if (all[r].at(1) == 0) {
      findings.push_back(fail(
          "files", who + " does not see a lock that rank 0 on " + report.ranks[0].host + " holds",
          "locks must hold on all nodes (Lustre: mount with -o flock, not "
          "localflock; NFS: without local_lock)"));
    }
  }
  if (findings.empty()) {
    findings.push_back(ok("files", "all ranks see rank 0's files and locks in " + folder.string()));
  }
  return findings;
}

}  // namespace concordat::cli::doctor
