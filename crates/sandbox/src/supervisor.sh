# Arguments: the folder to make a temporary folder in, the signal that ends the server at once.
# Requests, one a line as shell words: "run COMMAND" waits for it and answers its exit code;
# "spawn COMMAND" starts the server and answers its process id.
# The end of the input, however it comes about, ends the server and removes the folder.

folder=$(mktemp -d "$1/edge-cache-sandbox.XXXXXX") || exit 73
signal=$2
server=
# Whoever waits for the end of the starter's output must not wait for us.
exec 2>>"$folder/log"

parent_of() {
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) }
  stat=${stat#* }
  printf '%s\n' "${stat%% *}"
}

# Postgres gives each of its processes a session of its own, so there is no group to signal.
family() {
  for entry in /proc/[0-9]*; do
    if [ "$(parent_of "${entry#/proc/}")" = "$server" ]; then
      printf '%s\n' "${entry#/proc/}"
    fi
  done
  printf '%s\n' "$server"
}

finish() {
  trap '' HUP INT TERM
  # Only a child of ours: the number of a server that ended long ago may be another's by now.
  if [ -n "$server" ] && [ "$(parent_of "$server")" = "$$" ]; then
    {
      (
        sleep 5 &
        trap 'kill -s KILL "$!"; wait; exit' USR1
        wait
        # shellcheck disable=SC2046
        kill -s KILL $(family)
      ) &
      deadline=$!
      kill -s "$signal" "$server"
      # A paused server hears the signal only when it goes on.
      # shellcheck disable=SC2046
      kill -s CONT $(family)
      wait "$server"
      kill -s USR1 "$deadline"
      wait
    } >/dev/null
  fi
  # The last breath of a killed process can put a file into a folder that is being removed.
  rm -rf "$folder" || {
    sleep 1
    rm -rf "$folder"
  }
}

# Such a signal may end the reading early, never the cleaning: when a starter dies while its server
# is halted, the kernel itself sends us SIGHUP. After SIGPIPE the end of the input comes next.
# Handled rather than ignored, so that the server does not inherit it.
trap : HUP INT TERM PIPE

printf '%s\n' "$folder"
while IFS= read -r request; do
  eval "set -- $request"
  verb=$1
  shift
  case $verb in
  run)
    "$@" </dev/null >>"$folder/log" 2>&1
    printf '%s\n' "$?"
    ;;
  spawn)
    "$@" </dev/null >>"$folder/log" 2>&1 &
    server=$!
    printf '%s\n' "$server"
    ;;
  esac
done
finish
