// What a site's training job was told, as plain values. `cli` reads them from configuration; the
// run agreement overrules the file for everything that all sites must share.
//
//   SiteSettings settings = ...;
//   settings.run_folder();                       // <site>/runs/NAME
//   if (settings.federation) ...                 // without it the site trains alone
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "concordat/model/config.hpp"
#include "concordat/parallel/mesh.hpp"

namespace concordat::site {

/// The inner optimizer and its data; the same at every site of a federation.
struct InnerSettings {
  double rate = 1e-3;        ///< peak learning rate
  double floor_ratio = 0.1;  ///< the rate ends at rate * floor_ratio
  std::int64_t warmup_steps = 0;
  std::string schedule = "cosine";  ///< of the rate: train/learning_rate.hpp
  double decay_share = 0.2;         ///< of all steps, with "wsd"
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;     ///< global norm
  std::int64_t length = 128;  ///< tokens of a sequence
};

/// What a rank's device can do at most, where the file says so or asks to have it measured.
struct DevicePeak {
  bool measured = false;
  double flops_per_s = 0.0;  ///< 0: unknown
};

/// What this site chooses for itself.
struct LocalSettings {
  std::int64_t batch = 16;          ///< sequences per inner step, over all ranks
  std::int64_t micro_batch = 16;    ///< sequences at once on one rank
  bool reproducible = false;        ///< the same bits over dp, pp and more: train/step_plan.hpp
  std::int64_t logical_batch = 0;   ///< sequences of its unit; 0: train::logical_unit()
  std::int64_t logical_groups = 0;  ///< of its units; 0: chosen
  std::string schedule = "1f1b";    ///< of the pipeline: train/schedule.hpp
  int chunks = 1;                   ///< parts of the model on each pipeline rank
  std::string device = "auto";
  std::string precision = "fp32";  ///< of the products: fp32, bf16 or fp16
  bool tf32 = false;               ///< fp32 products round their operands to TF32
  bool graphs = false;             ///< CUDA graphs: train/unit_graphs.hpp
  std::string recompute = "none";  ///< none, attention or block: model/layer.hpp
  DevicePeak peak{};
  int threads = 1;           ///< compute threads of a rank
  std::string pin = "auto";  ///< of threads to processors: auto, on or off: comm/pinning.hpp
  std::int64_t log_every = 10;
  std::int64_t save_every = 0;            ///< inner steps; 0: only at the ends of rounds
  std::int64_t eval_windows = 0;          ///< validation windows at the end of a round; 0: none
  std::filesystem::path initial_weights;  ///< Hugging Face folder; empty: drawn from the seed
};

/// What is kept of the run, and how it lies on the disk.
struct CheckpointSettings {
  int keep = 2;                 ///< newest generations that stay
  std::int64_t keep_every = 0;  ///< steps: the first generation at or after each multiple; 0: none
  std::int64_t alignment = 4096;  ///< bytes; of large datasets in state.h5
  std::filesystem::path fast{};   ///< on each node, of any run; empty: none
};

/// How a training job ends and comes back.
struct JobSettings {
  std::int64_t stop_margin_s = 120;     ///< before the batch system's end time, max_walltime's too
  std::int64_t max_walltime_s = 0;      ///< longest run of one job; 0: no limit
  std::string progress_guard = "auto";  ///< on, off, or auto: under a batch system
  bool exit_between_rounds = false;     ///< leave instead of waiting for others
  std::int64_t patience_s = 60;         ///< in an exchange, before that
  std::string bring_back;               ///< what the border runs when the job can go on
};

/// How the ranks of the site share one model; dp is what they leave.
struct LayoutSettings {
  int tp = 1;                      ///< ranks that share each matrix
  int pp = 1;                      ///< ranks that share the layers
  int cp = 1;                      ///< ranks that share each sequence
  bool sequence_parallel = false;  ///< with tp > 1: rows between layers are shared out too
  int zero = 0;                    ///< 1: optimizer state is shared out over the replicas
  bool overlap = true;             ///< gradients are summed on a thread beside the backward
  int model_ranks() const { return tp * pp * cp; }
};

/// The mesh of `num_ranks` ranks.
/// @throws Error(parallel.bad_layout) unless the layout divides them.
parallel::MeshShape mesh_of(const LayoutSettings& layout, int num_ranks);

struct FederationSettings {
  std::filesystem::path roster;
  std::filesystem::path agreement;
  std::string address;          ///< HOST:PORT of the coordinator; empty: the roster's
  std::string road = "tls";     ///< tls, spool, or mpi: all parties in one mpirun
  std::filesystem::path spool;  ///< folder of the road spool
  std::int64_t spool_answer_s = 3600;
  std::string donor;  ///< site whose state this one takes when its own is lost; empty: none
  std::vector<std::string> donate_to;  ///< sites that may be given this one's state
};

struct SiteSettings {
  std::string name;
  std::filesystem::path folder;
  std::string run;
  std::uint64_t seed = 1;
  std::int64_t rounds = 1;
  std::int64_t inner_steps = 1;  ///< H; alone, a site takes rounds * H steps without exchanges
  std::vector<std::string> datasets;
  model::ModelConfig model;
  std::string tokenizer = "bytes";  ///< data::Vocabulary::id of every dataset of the run
  InnerSettings inner;
  LocalSettings local;
  LayoutSettings layout;
  CheckpointSettings checkpoint;
  JobSettings job;
  std::optional<FederationSettings> federation;
  std::string effective_toml;  ///< written into the run folder

  std::int64_t total_steps() const { return rounds * inner_steps; }
  bool spools() const { return federation && federation->road == "spool"; }
  std::filesystem::path run_folder() const { return folder / "runs" / run; }
  /// Of the run on each node. @pre checkpoint.fast is given.
  std::filesystem::path fast_folder() const { return checkpoint.fast / name / run; }
};

}  // namespace concordat::site
