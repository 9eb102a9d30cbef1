// `concordat checkpoint`: looks at a run's checkpoints, from their files alone.
#include "cli/checkpoint_commands.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

std::string help() {
  return "concordat checkpoint: looks at a run's checkpoints, from their files alone.\n\n"
         "usage:\n"
         "  concordat checkpoint list FOLDER [--json]\n"
         "        one line a generation, newest first: step, round, size, layout, precision, when\n"
         "        it was saved (UTC), the shared model's state digest, and what LATEST names. "
         "What\n"
         "        is set aside, unfinished or cannot be read is a line too, with the reason.\n"
         "        Reads manifests and lengths; --json prints the same for scripts.\n"
         "  concordat checkpoint verify FOLDER\n"
         "        reads every byte and says of each generation if it is as its manifest promises,\n"
         "        and which one a restart takes, or at which it refuses: one that a newer version\n"
         "        wrote. 0 if all verify, 65 if one does not.\n"
         "  concordat checkpoint diff GENERATION GENERATION [--tensors] [--tolerance=T]\n"
         "        [--relative=R]\n"
         "        what differs: metadata, datasets that only one has, and of every other dataset\n"
         "        how many elements, by how much at most, and where first. Without a tolerance\n"
         "        elements differ if their bits do, else if |a - b| > T + R max(|a|, |b|).\n"
         "        --tensors leaves the metadata out. Layouts need not be the same. 0 if equal, 1 "
         "if\n"
         "        not. Reads both block by block, and verifies nothing.\n"
         "  concordat checkpoint export GENERATION --out=FOLDER [--site=SITE.toml]\n"
         "        [--dtype=bf16|f32] [--shard-size=BYTES] [--max-length=N]\n"
         "        verifies this generation and writes it as a Hugging Face folder, with the model\n"
         "        as its own manifest describes it, or as SITE.toml does. The flags are those of\n"
         "        'concordat export', which takes a run's newest generation.\n\n"
         "FOLDER is a run folder (SITE/runs/NAME), its checkpoints/, or a generation in it; a\n"
         "GENERATION is such as SITE/runs/NAME/checkpoints/step-000120. A copy, or a login node's\n"
         "view, will do. Nothing is written (but by export), no key is needed and no socket "
         "opened.\n"
         "What a generation holds is as confidential as the data of the site.\n";
}

int run(const Args& args) {
  const std::string action = args.empty() ? "" : args[0];
  const Args rest(args.begin() + (args.empty() ? 0 : 1), args.end());
  if (action == "list") return checkpoint_list(rest);
  if (action == "verify") return checkpoint_verify(rest);
  if (action == "diff") return checkpoint_diff(rest);
  if (action == "export") return checkpoint_export(rest);
  throw Error(errors::usage, {.what = action.empty() ? "what to do is missing" : "unknown action",
                              .where = "concordat checkpoint",
                              .found = action.empty() ? "nothing" : action,
                              .expected = "list, verify, diff or export",
                              .remedy = "concordat checkpoint --help"});
}

}  // namespace

const Command checkpoint_command{"checkpoint", "list, verify, compare and export checkpoints", help,
                                 run};

}  // namespace concordat::cli
