// One rank and its trainer, for tests of single steps.
#pragma once

#include <string>
#include <vector>

#include "support.hpp"

namespace concordat::train::test {

struct Solo {
  explicit Solo(const TrainSettings& settings = tiny_settings(),
                const std::string& backend = "reference")
      : session(backend),
        comm(comm::self_communicator()),
        mesh(*comm, {}),
        data(settings.model.vocab),
        trainer(settings, session.exec(), mesh, data, system_clock()) {}
  HostState state() {
    HostState now = trainer.make_state();
    trainer.read_state(now);
    return now;
  }
  device::Session session;
  std::unique_ptr<comm::Communicator> comm;
  parallel::ProcessMesh mesh;
  MadeUpData data;
  Trainer trainer;
};

inline std::vector<float> values(const Tensor& tensor) {
  const auto span = tensor.span<float>();
  return {span.begin(), span.end()};
}

template <typename Work>
std::string code_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return std::string(error.code().name);
  }
  return "none";
}

}  // namespace concordat::train::test
