// Text forms of the run folder's records (docs/formats/run-folder.md). Pure functions; decoding
// throws Error(site.bad_run_file) with `where` and the line.
#pragma once

#include <string>

#include "site/run_folder.hpp"

namespace concordat::site {

bool is_nonce(std::string_view text);

std::string encode_key(const ExchangeId& exchange, const KeyFile& key);
KeyFile decode_key(const ExchangeId& exchange, std::string text, const std::string& where);

std::string encode_commit(const ExchangeId& exchange, const CommitRecord& record);
CommitRecord decode_commit(const ExchangeId& exchange, std::string text, const std::string& where);

std::string encode_closed(const ExchangeId& exchange, const ClosedRecord& record);
ClosedRecord decode_closed(const ExchangeId& exchange, std::string text, const std::string& where);

}  // namespace concordat::site
