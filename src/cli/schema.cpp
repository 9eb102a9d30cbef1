#include "cli/schema.hpp"

#include <charconv>

#include "cli/slurm_time.hpp"
#include "concordat/core/error.hpp"

namespace concordat::cli {
namespace {

constexpr std::int64_t many = std::int64_t{1} << 40;

void add_model_keys(ConfigSchema& schema) {
  schema.section("model", "the shared model; the agreement fixes it for a federation")
      .text("model.family", "llama", {"llama", "gpt2"},
            "llama: RMSNorm, rotary positions, SwiGLU; gpt2: LayerNorm, learned positions, GELU, "
            "biases")
      .integer("model.vocab", 257, {2, 1 << 24}, "vocabulary; 257 for byte-level tokens")
      .text("model.tokenizer", "bytes", {},
            "what all datasets were made with: bytes, or as ingest printed it")
      .integer("model.width", 128, {8, 1 << 16}, "width of the residual stream")
      .integer("model.layers", 4, {1, 4096}, "transformer blocks")
      .integer("model.heads", 4, {1, 4096}, "attention heads; must divide the width")
      .integer("model.kv_heads", 4, {1, 4096}, "key and value heads; must divide the heads")
      .only_with("model.family", "llama")
      .integer("model.ffn", 384, {8, 1 << 20}, "inner width of the feed-forward part")
      .integer("model.positions", 1024, {1, 1 << 24},
               "rows of the table of positions: the most that inner.length can be")
      .only_with("model.family", "gpt2")
      .real("model.rope_base", 10000.0, {1.0, 1e9}, "base of the rotary positions")
      .only_with("model.family", "llama")
      .real("model.norm_eps", 1e-5, {1e-12, 1.0}, "epsilon of the norms")
      .boolean("model.tied", false, "the output head is the embedding table")
      .fallback_with("model.family", "gpt2", true)
      .real("model.init_stddev", 0.02, {0.0, 10.0}, "standard deviation of initial weights");
}

void add_inner_keys(ConfigSchema& schema) {
  schema.section("inner", "the inner optimizer (AdamW); the agreement fixes it for a federation")
      .real("inner.rate", 1e-3, {0.0, 10.0}, "peak learning rate")
      .real("inner.floor_ratio", 0.1, {0.0, 1.0}, "the rate ends at rate * floor_ratio")
      .integer("inner.warmup_steps", 20, {0, many}, "steps of linear warm-up")
      .text("inner.schedule", "cosine", {"cosine", "wsd"},
            "after the warm-up: a cosine, or the peak until the decay (wsd)")
      .real("inner.decay_share", 0.2, {0.0, 1.0}, "wsd: part of all steps that the decay takes")
      .real("inner.beta1", 0.9, {0.0, 0.9999999}, "decay of the first moment")
      .real("inner.beta2", 0.95, {0.0, 0.9999999}, "decay of the second moment")
      .real("inner.epsilon", 1e-8, {1e-30, 1.0}, "added to the root of the second moment")
      .real("inner.weight_decay", 0.1, {0.0, 10.0}, "decoupled decay of matrices")
      .real("inner.clip_norm", 1.0, {1e-6, 1e9}, "global gradient norm at which steps are clipped")
      .integer("inner.length", 128, {1, 1 << 20}, "tokens of a training sequence");
}

void add_exchange_keys(ConfigSchema& schema) {
  schema.section("outer", "the outer step, applied to the shared model from the aggregate")
      .text("outer.kind", "fedavg", {"fedavg", "fedavgm", "nesterov", "fedadam", "fedyogi"},
            "fedavg suits short runs, nesterov (DiLoCo) long ones")
      .real("outer.rate", 1.0, {0.0, 100.0}, "eta")
      .real("outer.momentum", 0.9, {0.0, 0.9999999}, "mu; beta 1 of fedadam and fedyogi")
      .real("outer.beta2", 0.99, {0.0, 0.9999999}, "second moment of fedadam and fedyogi")
      .real("outer.epsilon", 1e-3, {1e-30, 10.0}, "added to the root in fedadam and fedyogi");
  schema.section("exchange", "what crosses a border, and how it is masked")
      .integer("exchange.block_log2", 20, {10, 20}, "a block has 2^k elements")
      .integer("exchange.first_bits", 8, {2, 16}, "bits of a code point in round 0")
      .integer("exchange.first_lane", 16, {8, 32}, "lane bits in round 0: 8, 16 or 32")
      .integer("exchange.bits", 8, {2, 16}, "bits of a code point in later rounds")
      .integer("exchange.lane", 16, {8, 32}, "lane bits in later rounds: 8, 16 or 32")
      .real("exchange.first_multiple", 1.0, {1e-6, 1e6},
            "round 0: half the code range is this times the summed learning rates")
      .real("exchange.spread", 6.0, {1.0, 64.0},
            "later: standard deviations that fit half the code range")
      .real("exchange.scale_floor", 1e-12, {1e-30, 1.0}, "least scale")
      .real("exchange.scale_cap", 1e3, {1e-12, 1e9}, "greatest scale")
      .integer("exchange.weight_cap", 1 << 24, {1, 0xffff'ffffLL},
               "most tokens that one site may train in a round")
      .integer("exchange.minimum", 3, {3, 1024}, "fewest participants of an exchange")
      .integer("exchange.colluding", 1, {1, 1022}, "colluding sites that are guarded against");
}

}  // namespace

void add_run_keys(ConfigSchema& schema) {
  schema.section("run", "the run; the agreement fixes it for a federation")
      .text("run.name", "run", {}, "name of the run folder below the site's runs/")
      .integer("run.seed", 1, {0, many}, "initial weights and data order")
      .integer("run.rounds", 1, {1, 1'000'000}, "rounds: inner steps, exchange, outer step")
      .integer("run.inner_steps", 10, {1, 1'000'000}, "H: inner steps of a round");
  add_model_keys(schema);
  add_inner_keys(schema);
  add_exchange_keys(schema);
}

ConfigSchema site_schema(SiteNeeded needed) {
  // A check of the common file needs no site; everything else refuses to run without one.
  std::optional<std::string> absent;
  if (needed == SiteNeeded::no) absent = "";
  ConfigSchema schema;
  schema.section("site", "who this is and where its things lie")
      .text("site.name", absent, {}, "the site's name, as in its keys and the roster")
      .text("site.folder", absent, {},
            "holds keys/ ledger/ journal/ data/ runs/; relative to this file");
  schema.section("federation", "leave it out, and the site trains alone")
      .text("federation.roster", "", {}, "signed roster (JSON), with its .sigs beside it")
      .text("federation.agreement", "", {}, "signed run agreement (JSON), with its .sigs")
      .text("federation.address", "", {}, "HOST:PORT of the coordinator; empty: the roster's")
      .text("federation.road", "tls", {"tls", "spool", "mpi"},
            "spool: sealed files that something else carries; mpi: all parties in one mpirun, if "
            "the roster allows it; --road for short")
      .text("federation.spool", "", {},
            "folder of the road spool, with up/ and down/; empty: spool/ in site.folder")
      .integer("federation.spool_answer_s", 3600, {1, 31'536'000},
               "seconds without an answer after which a file is put into the spool once more")
      .text("federation.donor", "", {},
            "site whose state this one takes when its own is lost; empty: nobody's")
      .list("federation.donate_to", std::vector<std::string>{},
            "sites that 'concordat donate' may give this one's state to; empty: nobody");
  schema.section("data", "what the site trains on")
      .list("data.datasets", std::vector<std::string>{}, "names below data/, made by ingest");
  schema.section("train", "what this site chooses for itself")
      .integer("train.batch", 16, {1, 1 << 24}, "sequences per inner step, over all ranks")
      .integer("train.micro_batch", 16, {1, 1 << 24}, "sequences that one rank runs at once")
      .boolean("train.reproducible", false,
               "the same bits over dp, pp, schedule, chunks, micro_batch, zero and overlap")
      .integer("train.logical_batch", 0, {0, 1 << 24},
               "reproducible: sequences of a logical micro-batch, the unit of every product; "
               "0: about 512 tokens")
      .integer("train.logical_groups", 0, {0, 1 << 24},
               "reproducible: parts of a step that are summed as a tree, dp times a power of two; "
               "0: up to 4")
      .text("train.schedule", "1f1b", {"gpipe", "1f1b", "interleaved", "zb-h1"},
            "order of a pipeline's calls; 'concordat schedule' draws them")
      .integer("train.chunks", 1, {1, 64},
               "parts of the model on each pipeline rank; more than 1 for interleaved")
      .text("train.device", "auto", {"auto", "cpu", "cuda", "reference"}, "back end")
      .text("train.precision", "fp32", {"fp32", "bf16", "fp16"},
            "of the products; weights, moments and sums stay in fp32")
      .boolean("train.tf32", false,
               "on a GPU: fp32 products round their operands to TF32, which tensor cores multiply")
      .boolean("train.graphs", false,
               "on a GPU: record forward and backward of a micro-batch once, then launch it as one")
      .text("train.recompute", "none", {"none", "attention", "block"},
            "what backward makes again to save memory: also norms and activations, or whole blocks")
      .text("train.peak", "unknown", {},
            "FLOP/s of a rank's device for the MFU: unknown, measure, or a number such as 1.6e11")
      .integer("train.threads", 1, {1, 4096}, "compute threads of each rank")
      .text("train.pin", "auto", {"auto", "on", "off"},
            "keep each thread on a processor; auto: where a batch system gave the job its own")
      .integer("train.log_every", 10, {1, many}, "inner steps between progress lines")
      .integer("train.save_every", 0, {0, many},
               "inner steps between checkpoints; 0: only at the ends of rounds")
      .integer("train.eval_windows", 0, {0, many},
               "validation windows at the end of each round; 0: none")
      .boolean("train.exit_between_rounds", false,
               "leave (75) instead of waiting for others; the border brings the job back "
               "(job.bring_back)")
      .text("train.initial_weights", "", {},
            "Hugging Face folder that the run starts from; empty: drawn from run.seed");
  schema.section("checkpoint", "what is kept of the run, and how it lies on the disk")
      .integer("checkpoint.keep", 2, {1, 1'000'000},
               "newest generations that stay; with 1 nothing is behind a damaged one")
      .integer("checkpoint.keep_every", 0, {0, many},
               "steps: the first generation at or after each multiple stays too; 0: none does")
      .text("checkpoint.fast", "", {},
            "folder on each node's own disk that generations reach first; empty: none")
      .integer(
          "checkpoint.alignment", 4096, {512, 1 << 24},
          "bytes, a power of two: where large tensors begin in state.h5, such as the stripe of "
          "Lustre or the block of GPFS");
  schema.section("job", "how a job ends and comes back")
      .integer("job.stop_margin_s", 120, {1, 86'400},
               "seconds before the batch system's end time at which a job saves and leaves")
      .text("job.max_walltime", "", {},
            "longest run of one job, as Slurm writes times (24:00:00, 2-00:00:00); empty: no limit")
      .text("job.progress_guard", "auto", {"auto", "on", "off"},
            "end with 76 where two jobs in a row got no further; auto: under a batch system")
      .integer("job.patience_s", 60, {0, 31'536'000},
               "train.exit_between_rounds: seconds to wait for others in an exchange before that")
      .text("job.bring_back", "", {},
            "what the border runs when a job that left can go on, such as 'sbatch job.sbatch'");
  schema.section("layout", "how the ranks share the model; the rest of them are replicas (dp)")
      .integer("layout.tp", 1, {1, 1024}, "ranks that share each matrix; divides the heads")
      .integer("layout.pp", 1, {1, 1024}, "ranks that share the layers, one stage each")
      .integer("layout.cp", 1, {1, 1024}, "ranks that share each sequence")
      .boolean("layout.sequence_parallel", false,
               "with tp > 1: tensor ranks share out the rows between layers, norms and residuals")
      .integer("layout.zero", 0, {0, 1},
               "1: each replica keeps its part of the fp32 weights and moments (ZeRO-1)")
      .boolean("layout.overlap", true, "sum gradients on a thread of its own beside the backward");
  add_run_keys(schema);
  return schema;
}

ConfigSchema federation_schema() {
  ConfigSchema schema;
  add_run_keys(schema);
  return schema;
}

std::filesystem::path resolve(const Config& config, const std::string& path) {
  if (path.empty() || std::filesystem::path(path).is_absolute()) return path;
  return std::filesystem::path(config.folder()) / path;
}

std::filesystem::path spool_folder(const Config& config, std::string_view key,
                                   const std::filesystem::path& party) {
  const std::filesystem::path given = resolve(config, config.text(key));
  return (given.empty() ? party / "spool" : given).lexically_normal();
}

model::ModelConfig model_config(const Config& config) {
  model::ModelConfig model{.family = model::family_named(config.text("model.family")),
                           .vocab = config.integer("model.vocab"),
                           .width = config.integer("model.width"),
                           .layers = static_cast<int>(config.integer("model.layers")),
                           .heads = static_cast<int>(config.integer("model.heads")),
                           .ffn = config.integer("model.ffn"),
                           .norm_eps = static_cast<float>(config.real("model.norm_eps")),
                           .tied = config.boolean("model.tied"),
                           .init_stddev = static_cast<float>(config.real("model.init_stddev"))};
  model.kv_heads = config.has("model.kv_heads") ? static_cast<int>(config.integer("model.kv_heads"))
                                                : model.heads;
  if (config.has("model.positions")) model.positions = config.integer("model.positions");
  if (config.has("model.rope_base")) {
    model.rope_base = static_cast<float>(config.real("model.rope_base"));
  }
  model.validate();
  return model;
}

namespace {
site::DevicePeak device_peak(const Config& config) {
  const std::string& text = config.text("train.peak");
  if (text == "unknown") return {};
  if (text == "measure") return {.measured = true};
  double value = 0.0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure == std::errc() && end == text.data() + text.size() && value > 0.0 && value < 1e30) {
    return {.flops_per_s = value};
  }
  throw Error(errors::config_bad_value,
              {.what = "the device's peak is not a rate",
               .where = config.origin("train.peak"),
               .found = text,
               .expected = "unknown, measure, or a number of FLOP/s above 0 such as 1.6e11",
               .remedy = "correct train.peak"});
}
}  // namespace

namespace {
site::CheckpointSettings checkpoint_settings(const Config& config) {
  const std::int64_t alignment = config.integer("checkpoint.alignment");
  if ((alignment & (alignment - 1)) != 0) {
    throw Error(errors::config_bad_value,
                {.what = "the alignment of checkpoints is no power of two",
                 .where = config.origin("checkpoint.alignment"),
                 .found = std::to_string(alignment),
                 .expected = "4096, 1048576, 4194304, ...",
                 .remedy = "correct checkpoint.alignment"});
  }
  const std::filesystem::path fast = config.text("checkpoint.fast");
  if (!fast.empty() && !fast.is_absolute()) {
    throw Error(errors::config_bad_value,
                {.what = "the fast tier is a folder of each node",
                 .where = config.origin("checkpoint.fast"),
                 .found = fast.string(),
                 .expected = "an absolute path, such as /local/scratch or the job's $TMPDIR",
                 .remedy = "correct checkpoint.fast"});
  }
  return {.keep = static_cast<int>(config.integer("checkpoint.keep")),
          .keep_every = config.integer("checkpoint.keep_every"),
          .alignment = alignment,
          .fast = fast};
}

site::JobSettings job_settings(const Config& config) {
  site::JobSettings job{.stop_margin_s = config.integer("job.stop_margin_s"),
                        .progress_guard = config.text("job.progress_guard"),
                        .exit_between_rounds = config.boolean("train.exit_between_rounds"),
                        .patience_s = config.integer("job.patience_s"),
                        .bring_back = config.text("job.bring_back")};
  const std::string& limit = config.text("job.max_walltime");
  if (limit.empty()) return job;
  job.max_walltime_s = slurm_seconds(limit).value_or(0);
  if (job.max_walltime_s > job.stop_margin_s) return job;
  throw Error(errors::config_bad_value,
              {.what = "the longest run of a job is no time or leaves no time to work",
               .where = config.origin("job.max_walltime"),
               .found = limit,
               .expected = std::string(slurm_time_forms) + ", more than the " +
                           std::to_string(job.stop_margin_s) + " s of job.stop_margin_s",
               .remedy = "correct job.max_walltime"});
}
}  // namespace

site::SiteSettings site_settings(const Config& config) {
  site::SiteSettings s;
  s.name = config.text("site.name");
  s.folder = resolve(config, config.text("site.folder"));
  s.run = config.text("run.name");
  s.seed = static_cast<std::uint64_t>(config.integer("run.seed"));
  s.inner_steps = config.integer("run.inner_steps");
  s.rounds = config.integer("run.rounds");
  s.datasets = config.list("data.datasets");
  s.model = model_config(config);
  s.tokenizer = config.text("model.tokenizer");
  s.inner = {.rate = config.real("inner.rate"),
             .floor_ratio = config.real("inner.floor_ratio"),
             .warmup_steps = config.integer("inner.warmup_steps"),
             .schedule = config.text("inner.schedule"),
             .decay_share = config.real("inner.decay_share"),
             .beta1 = config.real("inner.beta1"),
             .beta2 = config.real("inner.beta2"),
             .epsilon = config.real("inner.epsilon"),
             .weight_decay = config.real("inner.weight_decay"),
             .clip_norm = config.real("inner.clip_norm"),
             .length = config.integer("inner.length")};
  s.local = {.batch = config.integer("train.batch"),
             .micro_batch = config.integer("train.micro_batch"),
             .reproducible = config.boolean("train.reproducible"),
             .logical_batch = config.integer("train.logical_batch"),
             .logical_groups = config.integer("train.logical_groups"),
             .schedule = config.text("train.schedule"),
             .chunks = static_cast<int>(config.integer("train.chunks")),
             .device = config.text("train.device"),
             .precision = config.text("train.precision"),
             .tf32 = config.boolean("train.tf32"),
             .graphs = config.boolean("train.graphs"),
             .recompute = config.text("train.recompute"),
             .peak = device_peak(config),
             .threads = static_cast<int>(config.integer("train.threads")),
             .pin = config.text("train.pin"),
             .log_every = config.integer("train.log_every"),
             .save_every = config.integer("train.save_every"),
             .eval_windows = config.integer("train.eval_windows"),
             .initial_weights = resolve(config, config.text("train.initial_weights"))};
  s.layout = {.tp = static_cast<int>(config.integer("layout.tp")),
              .pp = static_cast<int>(config.integer("layout.pp")),
              .cp = static_cast<int>(config.integer("layout.cp")),
              .sequence_parallel = config.boolean("layout.sequence_parallel"),
              .zero = static_cast<int>(config.integer("layout.zero")),
              .overlap = config.boolean("layout.overlap")};
  s.checkpoint = checkpoint_settings(config);
  s.job = job_settings(config);
  const std::string& roster = config.text("federation.roster");
  const std::string& agreement = config.text("federation.agreement");
  if (roster.empty() != agreement.empty()) {
    throw Error(
        errors::config_bad_value,
        {.what = "a federation needs both a roster and a run agreement",
         .where = config.origin(roster.empty() ? "federation.agreement" : "federation.roster"),
         .found = "only one of federation.roster and federation.agreement",
         .expected = "both, or neither to train alone",
         .remedy = "give the other path as well"});
  }
  if (!roster.empty()) {
    s.federation = {.roster = resolve(config, roster),
                    .agreement = resolve(config, agreement),
                    .address = config.text("federation.address"),
                    .road = config.text("federation.road"),
                    .spool = spool_folder(config, "federation.spool", s.folder),
                    .spool_answer_s = config.integer("federation.spool_answer_s"),
                    .donor = config.text("federation.donor"),
                    .donate_to = config.list("federation.donate_to")};
    if (s.federation->road == "mpi" && s.job.exit_between_rounds) {
      throw Error(errors::config_bad_value,
                  {.what = "a job cannot leave between rounds when all parties are in one mpirun",
                   .where = config.origin("train.exit_between_rounds"),
                   .found = "true, with federation.road = \"mpi\"",
                   .expected = "false on that road: ranks that leave would end everybody's job",
                   .remedy = "set train.exit_between_rounds = false, or federation.road = tls"});
    }
  }
  s.effective_toml = config.effective_toml();
  return s;
}

}  // namespace concordat::cli
