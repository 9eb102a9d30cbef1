// The road to the coordinator, step by step: name, connection, TLS, an answer.
#include <algorithm>

#include "cli/doctor_checks.hpp"
#include "concordat/border/errors.hpp"

namespace concordat::cli::doctor {
namespace {

using border::Reach;

bool is_loopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "::1";
}

/// Whoever writes localhost or 127.0.0.1 means this machine; another name that leads here does not.
bool means_this_machine(const std::string& host) {
  return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& entry : list) text += (text.empty() ? "" : ", ") + entry;
  return text;
}

/// Debian gives a machine's own name the address 127.0.1.1.
std::optional<Finding> loopback_trap(const border::Address& to, const Reach& reach) {
  if (means_this_machine(to.host) || reach.found.empty() ||
      !std::all_of(reach.found.begin(), reach.found.end(), is_loopback)) {
    return std::nullopt;
  }
  return warn("reach", to.host + " is " + joined(reach.found) + " here: this machine itself",
              "correct the line of " + to.host +
                  " in /etc/hosts (127.0.1.1 there is the "
                  "distribution's), or use the address that others see");
}

Finding failed_step(const border::Address& to, const Reach& reach, const std::string& origin) {
  const std::string where = to.host + ":" + std::to_string(to.port);
  if (reach.step == Reach::Step::resolve) {
    return fail("reach", "the name " + to.host + " is not known here: " + reach.reason,
                "check the spelling in " + origin +
                    " and this machine's DNS; compute nodes often "
                    "resolve no outside names: run the border on a node that does");
  }
  const std::string text =
      "no connection to " + where + " (" + joined(reach.found) + "): " + reach.reason;
  switch (reach.failure) {
    case Reach::Failure::refused:
      return fail("reach", text,
                  "the machine answers and nobody listens there: check the port in " + origin +
                      ", and that 'concordat coordinate' runs and listens on an address that is "
                      "not 127.0.0.1");
    case Reach::Failure::timed_out:
      return fail("reach", text,
                  "a firewall drops it, or this node has no road outward: run the border where "
                  "there is one (login, service or transfer node), or have the port opened");
    default:
      return fail("reach", text, "check route and firewall from this node to " + where);
  }
}

Finding failed_tls(const Error& error, const std::string& where) {
  if (error.code() == border::errors::unknown_peer) {
    return fail("reach",
                "who answers at " + where +
                    " holds another key than the roster's "
                    "coordinator",
                "check the address; if the coordinator has new keys, everybody needs a new roster");
  }
  if (error.code() == border::errors::peer_refused) {
    return failed("reach", error);
  }
  const std::string said = error.fields().what + ": " + error.fields().found;
  // A client has shaken hands before the other end has looked at its key: a refusal comes after.
  const bool hands = said.find("shake hands") != std::string::npos;
  std::string remedy;
  if (said.find("no progress") != std::string::npos) {
    remedy = "see the coordinator's log and load; something between may hold the bytes back";
  } else if (hands && said.find("alert") == std::string::npos) {
    remedy =
        "what listens there does not speak this protocol, or a proxy stands between: TLS must "
        "go through end to end";
  } else {
    remedy =
        "the coordinator refuses this site's key: it may run with another roster; compare "
        "'concordat roster verify' at both ends";
  }
  return fail("reach", "TLS with " + where + " fails: " + said, remedy);
}

/// A connection with this site's key takes the place of its border's.
Finding border_finding(const ReachRequest& request, const std::string& where) {
  const std::string text = "this site's border runs (" + request.border + ")";
  if (!request.trouble.empty()) {
    return warn("reach", text + ", and the coordinator does not answer it: " + request.trouble,
                "see the border's log; it tries again by itself");
  }
  return ok("reach", text + "; TLS with " + where +
                         " is left to it, a second connection would replace the border's");
}

}  // namespace

Findings check_reach(const ReachRequest& request, const ReachSeams& seams) {
  Findings findings;
  attempt(findings, "reach", [&] {
    const border::Address to = border::parse_address(request.address, request.origin);
    const std::string where = to.host + ":" + std::to_string(to.port);
    const Reach reach = seams.reach(to);
    if (auto trap = loopback_trap(to, reach)) findings.push_back(std::move(*trap));
    if (reach.step != Reach::Step::connected) {
      findings.push_back(failed_step(to, reach, request.origin));
      return;
    }
    findings.push_back(ok("reach", "TCP connection to " + where + " (" + joined(reach.found) +
                                       ") in " + std::to_string(reach.took.count()) + " ms"));
    if (!request.border.empty()) {
      findings.push_back(border_finding(request, where));
      return;
    }
    try {
      seams.ask(to);
      findings.push_back(ok("reach",
                            "TLS with the pinned keys of both ends, and the coordinator "
                            "answers this site"));
    } catch (const Error& error) {
      findings.push_back(failed_tls(error, where));
    }
  });
  if (!request.only_border) return findings;
  for (Finding& finding : findings) {
    if (finding.level != Level::fail) continue;
    finding.level = Level::warn;
    finding.text += " (from a job's node; only the border needs this road)";
  }
  return findings;
}

Findings check_listen(const std::string& listen, const std::string& announced,
                      const std::string& running, const ReachSeams& seams,
                      const std::function<void(const border::Address&)>& bind) {
  Findings findings;
  attempt(findings, "reach", [&] {
    const border::Address own = border::parse_address(listen, "coordinator.listen");
    const border::Address others = border::parse_address(announced, "the roster's address");
    if (is_loopback(own.host) && !means_this_machine(others.host)) {
      findings.push_back(fail("reach",
                              "the coordinator listens on " + listen +
                                  ", where only this machine reaches it, and the roster "
                                  "sends sites to " +
                                  announced,
                              "set coordinator.listen to 0.0.0.0:" + std::to_string(others.port)));
    }
    if (own.port != others.port) {
      findings.push_back(warn("reach",
                              "the coordinator listens on port " + std::to_string(own.port) +
                                  " and the roster says " + announced,
                              "right if something forwards the port; otherwise correct "
                              "coordinator.listen, or each site's federation.address"));
    }
    const Reach reach = seams.reach(others);
    if (reach.step == Reach::Step::resolve) {
      findings.push_back(failed_step(others, reach, "the roster"));
    }
    if (auto trap = loopback_trap(others, reach)) findings.push_back(std::move(*trap));
    if (!running.empty()) {
      findings.push_back(ok("reach", "the coordinator runs: " + running));
      return;
    }
    bind(own);
    findings.push_back(ok("reach", "the address " + listen + " is free to listen on"));
  });
  return findings;
}

}  // namespace concordat::cli::doctor
