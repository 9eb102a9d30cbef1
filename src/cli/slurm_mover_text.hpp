// The parts of a mover's batch script that no other has. Bash 4.4 or newer.
#pragma once

#include <string_view>

// What follows is shell, which clang-format would take for C++.
// clang-format off
namespace concordat::cli::slurm_text {

inline constexpr std::string_view about_mover =
    R"sh(# It needs a road to the other folder from its node, and rsync at both ends.
)sh";

inline constexpr std::string_view rsync =
    R"sh(# Nobody answers a question in a job, and nothing may hang.
export RSYNC_RSH=${RSYNC_RSH:-ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=30}
# Finished files alone, no folders and no links. They appear whole and are never changed; what is lost is sent again.
carry=(rsync --recursive --size-only --timeout=300 --remove-source-files --exclude='*/' --include='*.spool' --exclude='*')
)sh";

inline constexpr std::string_view term_of_mover =
    R"sh(carrying=
# TERM ends a transfer, which leaves nothing half done: what it did not finish is carried the next time.
)sh";

inline constexpr std::string_view spool_folder =
    R"sh(folder=$("$concordat" slurm folder --role=mover "$file" "${flags[@]}")
run=$("$concordat" slurm folder "$file" "${flags[@]}")
if [ "$folder" -ef "$to" ]; then
  say "both ends are one folder: rsync would remove what it finds, and no mover is needed"
  exit 64
fi
(umask 077 && mkdir -p "$folder"/{up,down}) # no border has made them yet, if this comes first
forget "$folder"
)sh";

inline constexpr std::string_view carry = R"sh(
# one_way FROM TO: what lies there now. Trouble is said when it is new, and when it is over; it ends nothing.
declare -A trouble=()
one_way() {
  local code=0 limit=()
  [ -z "$termed" ] || limit=(timeout 10) # all that Slurm's KillWait leaves
  "${limit[@]}" "${carry[@]}" -- "$1/" "$2/" >"$folder/mover.out" 2>&1 &
  carrying=$!
  finish "$carrying" || code=$?
  carrying=
  [ "$code" -ne 24 ] || code=0 # a file was taken away meanwhile
  [ "$code" -ne "${trouble[$1]:-0}" ] || return 0
  trouble[$1]=$code
  if [ "$code" -eq 0 ]; then
    say "$1 is carried to $2 again"
  else
    say "$1 is not carried to $2 (rsync: $code), which is tried again every $every s:"
    cat "$folder/mover.out"
  fi
}

# turn: both ways once. Returns 0 when the run is over and nothing is left: the border had said so before
# this turn began, so what lay in up/ then was all.
turn() {
  local over= file
  ! grep -qs '"end": *"done"' "$run/border.json" || over=yes
  one_way "$folder/up" "$to/up"
  one_way "$to/down" "$folder/down"
  [ -n "$over" ] || return 1
  for file in "$folder"/up/*.spool; do [ ! -e "$file" ] || return 1; done
}

# leaving: whether it is time to, by USR1, TERM, a STOP file in the spool, or the clock.
stopped=
leaving() {
  [ ! -e "$folder/STOP" ] || { rm -f "$folder/STOP" && stopped=yes; }
  [ -z "$asked$termed$stopped" ] || return 0
  [ -n "${SLURM_JOB_END_TIME:-}" ] && [ "$(date +%s)" -ge $((SLURM_JOB_END_TIME - margin)) ] && asked=yes
}

code=75
while :; do
  if turn; then
    say "the run is over, and nothing is left to carry"
    code=0
    break
  fi
  ! leaving || break
  # A signal that ends the wait is followed by one more turn.
  for ((waited = 0; waited < every; waited++)); do
    ! leaving || break
    sleep 1 &
    wait $! || true
  done
done
rm -f "$folder/mover.out"
if [ "$code" -ne 0 ] && [ -n "$asked" ]; then touch "$folder/REQUEUE"; fi
leave "$code" "$folder"
)sh";

}  // namespace concordat::cli::slurm_text
// clang-format on
