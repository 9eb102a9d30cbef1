// Graph: work of a stream that was recorded once and goes into the stream in one call.
//
//   std::unique_ptr<Graph> graph;
//   if (backend.captures()) {
//     graph = backend.capture(stream, [&] { add(exec, y, a, b); });   // nothing runs
//     write<float>(exec, a, next);                                    // what changes: in memory
//     graph->launch();                                                // y = a + b
//   }
//
// A replay is the same ops on the same addresses with the same numbers from the host. What is to
// differ between replays lies in device memory, written before the launch.
#pragma once

namespace concordat::device {

class Graph {
 public:
  virtual ~Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  /// Puts the work into the stream that it was captured from, like one op. @pre everything that its
  /// ops touch lives, the stream too. @throws Error(device.cuda_failed).
  virtual void launch() = 0;

 protected:
  Graph() = default;
};

}  // namespace concordat::device
