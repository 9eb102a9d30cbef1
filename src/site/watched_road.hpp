// WatchedRoad: a site's road that remembers when the coordinator last answered, and what was wrong
// since.
//
//   WatchedRoad road(*tls, clock, [&] { page.write(...); });   // when there is news
//   road.reached_unix_seconds();
//   road.trouble();                                            // "" while it answers
//
// A refusal is an answer. Threads: as SiteRoad.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "concordat/border/errors.hpp"
#include "concordat/border/road.hpp"
#include "concordat/core/clock.hpp"

namespace concordat::site {

class WatchedRoad final : public border::SiteRoad {
 public:
  WatchedRoad(border::SiteRoad& road, Clock& clock, std::function<void()> changed)
      : road_(road), clock_(clock), changed_(std::move(changed)) {}

  /// 0: never.
  std::int64_t reached_unix_seconds() const { return reached_; }
  const std::string& trouble() const { return trouble_; }
  /// Of the first failure after the last answer; 0 without trouble.
  std::int64_t trouble_since_unix_seconds() const { return trouble_since_; }
  /// Of the last call, whatever came of it.
  std::chrono::nanoseconds tried() const { return tried_; }

  Manner manner() const override { return road_.manner(); }
  void deliver(const border::Envelope& message) override {
    watched([&] { road_.deliver(message); });
  }
  std::optional<Bytes> fetch(std::chrono::milliseconds wait) override {
    return watched([&] { return road_.fetch(wait); },
                   [&](const std::optional<Bytes>& wire) { return at_once() || wire; });
  }
  void acknowledge(const Digest& message) override {
    watched([&] { road_.acknowledge(message); }, [&] { return at_once(); });
  }
  std::uint64_t upload_position(const ExchangeId& exchange) override {
    return watched([&] { return road_.upload_position(exchange); });
  }
  void deliver_block(const border::Envelope& frame) override {
    watched([&] { road_.deliver_block(frame); }, [&] { return at_once(); });
  }
  std::uint64_t flush_blocks(const ExchangeId& exchange) override {
    return watched([&] { return road_.flush_blocks(exchange); });
  }
  void fetch_blocks(const ExchangeId& exchange, std::uint64_t first, std::uint64_t last,
                    const std::function<void(ByteView wire)>& take) override {
    watched([&] { road_.fetch_blocks(exchange, first, last, take); });
  }
  void stop() override { road_.stop(); }

 private:
  struct Always {
    template <typename... Result>
    bool operator()(const Result&...) const {
      return true;
    }
  };
  bool at_once() const { return road_.manner().answers_at_once; }

  /// `says`: whether the result came from the coordinator.
  template <typename Act, typename Says = Always>
  std::invoke_result_t<Act&> watched(Act&& act, Says&& says = {}) {
    tried_ = clock_.monotonic();
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Act&>>) {
        act();
        if (says()) answered();
      } else {
        auto result = act();
        if (says(result)) answered();
        return result;
      }
    } catch (const Error& error) {
      if (error.code() == border::errors::road_down || error.code() == border::errors::road_waits) {
        failed(error);
      } else if (error.code() == border::errors::peer_refused) {
        answered();
      }
      throw;
    }
  }

  void answered() {
    const bool news = reached_ == 0 || !trouble_.empty();
    reached_ = clock_.unix_seconds();
    trouble_.clear();
    trouble_since_ = 0;
    if (news && changed_) changed_();
  }
  void failed(const Error& error) {
    const bool news = trouble_.empty();
    if (news) trouble_since_ = clock_.unix_seconds();
    trouble_ = error.fields().what +
               (error.fields().found.empty() ? "" : " (" + error.fields().found + ")");
    if (news && changed_) changed_();
  }

  border::SiteRoad& road_;
  Clock& clock_;
  std::function<void()> changed_;
  std::int64_t reached_ = 0;
  std::int64_t trouble_since_ = 0;
  std::string trouble_;
  std::chrono::nanoseconds tried_{0};
};

}  // namespace concordat::site
