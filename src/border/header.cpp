#include "concordat/border/header.hpp"

namespace concordat::border {

std::string_view name_of(MessageType type) {
  switch (type) {
    case MessageType::ready:
      return "ready";
    case MessageType::manifest:
      return "manifest";
    case MessageType::cosign:
      return "cosign";
    case MessageType::go:
      return "go";
    case MessageType::header:
      return "header";
    case MessageType::survivors:
      return "survivors";
    case MessageType::agree:
      return "agree";
    case MessageType::unmask_request:
      return "unmask_request";
    case MessageType::unmask:
      return "unmask";
    case MessageType::aggregate:
      return "aggregate";
    case MessageType::received:
      return "received";
    case MessageType::closed:
      return "closed";
    case MessageType::withdraw:
      return "withdraw";
    case MessageType::block:
      return "block";
    case MessageType::block_ack:
      return "block_ack";
    case MessageType::state:
      return "state";
  }
  return "unknown";
}

std::optional<MessageType> message_type_from(std::uint16_t number) {
  auto type = static_cast<MessageType>(number);
  if (type == MessageType::state) return type;
  if (number > static_cast<std::uint16_t>(MessageType::withdraw)) return std::nullopt;
  if (name_of(type) == "unknown") return std::nullopt;
  return type;
}

bool announces_frames(MessageType type) {
  return type == MessageType::header || type == MessageType::aggregate;
}

std::string text_of(SiteId site) {
  if (site == coordinator_id) return "the coordinator";
  return "site " + std::to_string(site.value());
}

std::string Header::text() const {
  return std::string(name_of(type)) + " of exchange " + exchange.text() + " from " +
         text_of(sender) + " to " + text_of(recipient);
}

}  // namespace concordat::border
