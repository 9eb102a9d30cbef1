#include "concordat/checkpoint/saver.hpp"

namespace concordat::checkpoint {

Saved save_generation(comm::Communicator& comm, FileSystem& fs, const Path& folder,
                      const Position& position, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata, const SaveOptions& options) {
  Saver saver(comm, fs, system_clock(), folder);
  saver.begin(position, tensors, metadata, options);
  return *saver.finish();
}

}  // namespace concordat::checkpoint
