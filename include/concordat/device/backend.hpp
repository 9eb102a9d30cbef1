// Backend: where tensors live and who computes on them.
//
//   auto backend = device::make_backend("cpu");          // or "reference", "strict"
//   auto stream = backend->make_stream();
//   device::Arena arena(*backend, *stream, 1 << 20);
//   device::Exec exec{*backend, *stream, arena};
//   Tensor x = backend->allocate(Dtype::f32, {4, 8});    // content undefined
//   device::fill(exec, x, 1.0);                          // an op: ops/fill.hpp
//   float first = device::read_back<float>(exec, x.slice(0, 0, 1).slice(1, 0, 1)).get();
//
// Back ends: `reference` (plain loops, the oracle), `cpu` (oneDNN products, vector code chosen at
// run time, OpenMP), `strict` (reference arithmetic on a worker thread per stream, memory that the
// host cannot touch, poisoned allocations: code that passes on it is ready for a GPU).
//
// Threads: a Backend may be shared; each Stream, Arena and Exec belongs to one host thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "concordat/core/stream.hpp"
#include "concordat/core/tensor.hpp"
#include "concordat/device/graph.hpp"

namespace concordat::comm {
class Communicator;
}

namespace concordat::device {

class Kernels;  // private: src/device/kernels.hpp

class Backend {
 public:
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual std::string_view name() const = 0;
  /// A contiguous tensor in this back end's memory; the content is undefined (`strict` poisons it).
  /// Never called by ops. @throws Error(io_failed) when the memory cannot be had.
  virtual Tensor allocate(Dtype dtype, Shape shape) = 0;
  /// Streams must not outlive their back end.
  virtual std::unique_ptr<Stream> make_stream() = 0;
  /// A stream with a thread of its own, for messages and collectives beside the ops (no op may be
  /// given it). Joined to the stream of the ops by events alone.
  virtual std::unique_ptr<Stream> make_message_stream();
  /// Instruction set, thread count and library of the kernels: recorded in checkpoints and printed
  /// by `concordat --version`, because bits may differ where this text differs.
  virtual std::string instructions_in_use() const = 0;
  /// Whether matrix products multiply in this dtype (and add up in f32). Layers then round their
  /// operands to it; elsewhere it is a format that weights are stored in, and products widen them.
  virtual bool multiplies(Dtype dtype) const = 0;

  /// What reduces, gathers and sends the tensors of this back end between the ranks of `host`.
  /// Null: `host` does, because work that streams run on the host (Stream::enqueue) reaches the
  /// memory. Otherwise a Communicator of the same ranks with a group of its own, whose host
  /// collectives are `host`'s. It and what is split from it end before the back end. Collective
  /// over `host`.
  /// @throws Error(device.no_nccl | device.gpu_shared | device.nccl_failed).
  virtual std::unique_ptr<comm::Communicator> communicator(comm::Communicator& host);
  /// Whether the collectives of `ranks` reach this back end's tensors.
  virtual bool reached_by(const comm::Communicator& ranks) const;
  /// Whether sums over ranks have the order, and so the bits, that comm/communicator.hpp promises.
  virtual bool sums_in_fixed_order() const;

  /// Whether capture() can be had.
  virtual bool captures() const;
  /// What `work` puts into `stream`, recorded and not run; waits for the stream first. `work` is
  /// ops of this stream: memory taken or given back, uploads, read-backs, host work, events and
  /// waiting are Bugs inside. Every tensor that an op touches, and the scratch of the stream's
  /// arena, must outlive the graph, and what the ops keep for later (algorithms, scratch) must be
  /// there already: run the same work once before. @pre captures().
  /// @throws what `work` throws, Error(device.cuda_failed).
  virtual std::unique_ptr<Graph> capture(Stream& stream, const std::function<void()>& work);

  /// How many copies products keep of a weight in this dtype, in an order of their own, once it was
  /// used forward and backward; 0: it is read in place. And what these copies hold now.
  virtual int weight_copies(Dtype dtype) const;
  virtual std::size_t weight_copy_bytes() const;

  /// For the ops. True: a kernel call orders itself after what `stream` holds (on the `cpu` back
  /// end it also completes). False: the op enqueues the call on the stream.
  virtual bool immediate() const = 0;
  virtual Kernels& kernels(Stream& stream) = 0;
  /// Makes scratch that is handed out again unreadable in the sense of `strict`; else nothing.
  virtual void poison(Stream& stream, const Tensor& tensor);

 protected:
  Backend() = default;
};

/// What a back end is made with.
struct BackendOptions {
  /// Products of f32 operands round them to TF32 (10 bits of mantissa). Only "cuda" can. It changes
  /// the bits of results: instructions_in_use() tells it.
  bool tf32 = false;
  /// Place among the ranks of this machine (comm::local_rank): the `cuda` back end takes the
  /// visible GPU of this number, modulo how many there are.
  int local_rank = 0;
};

/// "reference", "cpu", "strict", "cuda" (the plug-in, docs/cuda.md), or "auto" (= "cpu").
/// @throws Error(device.unknown_backend) for another name, Error(device.no_avx2) from "cpu" on a
/// processor without AVX2 and FMA, Error(device.no_cuda_plugin | device.no_gpu) from "cuda",
/// Error(device.not_on_this_device) for options that it does not have.
std::unique_ptr<Backend> make_backend(std::string_view name, const BackendOptions& options = {});

/// The names that make_backend takes on this machine, without "auto" and "cuda".
std::vector<std::string> backend_names();

/// One line: vector instructions that the `cpu` back end uses here, threads, oneDNN's version.
std::string instructions_in_use();

}  // namespace concordat::device
