#include "exchange.hpp"

#include <algorithm>

#include "fibers.hpp"
#include "launch.hpp"
#include "network.hpp"

namespace cuda_emulator {
namespace {

bool all(const std::vector<bool>& flags) {
  return std::all_of(flags.begin(), flags.end(), [](bool flag) { return flag; });
}

}  // namespace

bool Meeting::complete() const { return all(here); }
bool Meeting::wanted_by_all() const { return all(asked); }

bool Group::whole() const {
  return std::none_of(who.begin(), who.end(), [](const std::string& each) { return each.empty(); });
}

bool Group::deserted() const { return all(left); }

Exchange& exchange() {
  static Exchange& the = *new Exchange();
  return the;
}

Group& Exchange::group(const std::string& id, int size) {
  Group& found = groups_[id];
  if (size == 0) return found;
  found.who.resize(static_cast<std::size_t>(size));
  found.processes.resize(static_cast<std::size_t>(size));
  found.left.resize(static_cast<std::size_t>(size));
  return found;
}

Meeting& Exchange::meeting(const MeetingKey& key, int slots) {
  Meeting& found = meetings_[key];
  const auto size = static_cast<std::size_t>(slots);
  found.asked.resize(size);
  found.here.resize(size);
  found.operands.resize(size);
  found.launches.resize(size);
  return found;
}

void Exchange::post(const Post& post) {
  network_send(post);
  apply(post, false);
}

void Exchange::apply(const Post& post, bool from_abroad) {
  const auto slot = static_cast<std::size_t>(post.slot);
  switch (post.kind) {
    case Post::Kind::joins: {
      Group& joined = group(post.key.group, post.slots);
      const bool whole = joined.whole();
      joined.who[slot] = post.text;
      joined.processes[slot] = post.process;
      if (!whole && joined.whole()) network_introduce(post.key.group, joined);
      break;
    }
    case Post::Kind::leaves:
      group(post.key.group, post.slots).left[slot] = true;
      break;
    case Post::Kind::asks:
    case Post::Kind::comes: {
      Meeting& met = meeting(post.key, post.slots);
      if (met.demanded && met.demand != post.demand && machine().fault.empty()) {
        machine().fault = "ranks ask NCCL for different things at one time";
      }
      met.demand = post.demand;
      met.demanded = true;
      if (post.kind == Post::Kind::asks) {
        met.asked[slot] = true;
      } else {
        met.here[slot] = true;
        met.abroad = met.abroad || from_abroad;
        met.operands[slot] = post.operand;
      }
      break;
    }
  }
  machine().changed.notify_all();
}

void Exchange::take(const MeetingKey& key) {
  const auto found = meetings_.find(key);
  if (++found->second.taken == found->second.local) meetings_.erase(found);
}

void Exchange::forget(const std::string& id) {
  if (--groups_[id].local > 0) return;
  groups_.erase(id);
  std::erase_if(meetings_, [&](const auto& each) { return each.first.group == id; });
}

bool Exchange::serve() {
  std::vector<std::shared_ptr<Launch>> late;
  for (auto& [key, meeting] : meetings_) {
    if (!meeting.abroad) continue;
    for (const auto& each : meeting.launches) {
      if (const auto launch = each.lock(); launch && !launch->done()) late.push_back(launch);
    }
  }
  bool left = false;
  for (const auto& launch : late) left = !launch->finish_here() || left;
  return left;
}

}  // namespace cuda_emulator
