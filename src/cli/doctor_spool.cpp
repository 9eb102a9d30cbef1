// The road spool, from one end: whether its folders work, and whether somebody carries.
#include "cli/doctor_checks.hpp"
#include "cli/doctor_workbench.hpp"
#include "concordat/observe/progress.hpp"

namespace concordat::cli::doctor {
namespace {

constexpr std::string_view topic = "reach";

/// What makes a file appear whole and last.
void try_folder(FileSystem& fs, const Path& folder) {
  const Path nearest = nearest_folder(fs, folder);
  for (Path at = folder.lexically_normal(); at.has_relative_path() && at != nearest;
       at = at.parent_path()) {
    if (!fs.exists(at)) continue;
    throw Error(errors::io_failed, {.what = "a file lies where the folder would be made",
                                    .where = at.string(),
                                    .found = "no folder",
                                    .expected = "a folder, or nothing",
                                    .remedy = "remove it, or choose another folder"});
  }
  const Workbench bench(fs, nearest);
  const Bytes content(64, 7);
  auto file = fs.open(bench.path() / "half", OpenMode::create_exclusive);
  file->write(content);
  file->sync();
  fs.rename(bench.path() / "half", bench.path() / "whole");
  fs.sync_directory(bench.path());
  if (read_file(fs, bench.path() / "whole", content.size()) == content) return;
  throw Error(errors::malformed, {.what = "a renamed file has other content",
                                  .where = bench.path().string(),
                                  .remedy = "keep the spool on another file system"});
}

std::string name_of(const SpoolRequest& request) {
  return (request.site.empty() ? std::string("the spool ") : "the spool of " + request.site + " ") +
         request.folder.string();
}

Finding space_finding(std::uint64_t free, const SpoolRequest& request) {
  std::string text = observe::short_bytes(free) + " free at " + request.folder.string();
  if (request.needed_bytes == 0) return ok(std::string(topic), text);
  text += "; a round's blocks up and down need " + observe::short_bytes(request.needed_bytes);
  if (free >= request.needed_bytes) return ok(std::string(topic), text);
  return warn(std::string(topic), text,
              "free space, raise the quota, or choose another " + request.key);
}

void check_folders(Findings& findings, FileSystem& fs, const SpoolRequest& request) {
  try {
    for (const char* way : {"up", "down"}) try_folder(fs, request.folder / way);
    const bool there = fs.is_directory(request.folder / "up");
    findings.push_back(ok(std::string(topic),
                          name_of(request) +
                              (there ? "" : " is not there yet, where it will be made") +
                              ": files can be written, synced and renamed; no address is dialled"));
    findings.push_back(space_finding(fs.free_bytes(nearest_folder(fs, request.folder)), request));
  } catch (const Error& error) {
    Finding finding = failed(std::string(topic), error);
    finding.text = name_of(request) + " cannot be used: " + finding.text;
    if (finding.remedy.empty()) {
      finding.remedy = "correct " + request.key + ", or its owner, mode and file system";
    }
    findings.push_back(std::move(finding));
  }
}

void check_movement(Findings& findings, FileSystem& fs, const SpoolRequest& request,
                    std::int64_t now) {
  const bool at_site = request.end == SpoolEnd::site;
  const border::SpoolLook look = border::look_at_spool(fs, request.folder);
  const auto& out = leaving(look, request.end);
  const auto& in = arrived(look, request.end);
  const std::string text =
      name_of(request) + ": up " + way_text(look.up, now) + "; down " + way_text(look.down, now);
  const bool carried = age_s(out, now) < spool_is_late_s;
  const bool taken = age_s(in, now) < spool_is_late_s || !request.runs;
  if (carried && taken) findings.push_back(ok(std::string(topic), text));
  if (!carried) {
    findings.push_back(warn(
        std::string(topic), text + "; nobody has carried " + (at_site ? "up/" : "down/") + " on",
        "start the mover ('concordat slurm init --role=mover', or rsync under cron: "
        "docs/slurm.md), or see its log"));
  }
  if (!taken) {
    findings.push_back(warn(std::string(topic),
                            text + "; the " + (at_site ? "border" : "coordinator") +
                                " runs and has not taken " + (at_site ? "down/" : "up/"),
                            "see its log, and that it has this folder for its spool"));
  }
}

}  // namespace

Findings check_spool(FileSystem& fs, const SpoolRequest& request, std::int64_t now) {
  Findings findings;
  check_folders(findings, fs, request);
  if (exit_code(findings) == ExitCode::done) {
    attempt(findings, topic, [&] { check_movement(findings, fs, request, now); });
  }
  if (!request.only_border) return findings;
  for (Finding& finding : findings) {
    if (finding.level != Level::fail) continue;
    finding.level = Level::warn;
    finding.text += " (from a job's node; only the border needs the spool)";
  }
  return findings;
}

}  // namespace concordat::cli::doctor
